package io.membacking.mapping.internal;

import java.lang.invoke.MethodHandle;
import java.lang.invoke.MethodHandles;
import java.lang.invoke.MethodType;
import java.lang.invoke.VarHandle;
import java.lang.invoke.VarHandle.AccessMode;
import java.lang.ref.Reference;
import java.lang.reflect.Field;
import java.nio.Buffer;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;

/**
 * Memory by host address, unchecked: the one class of the project that touches it so. A wrong address ends the JVM, so only
 * {@link CheckedMemory} calls it, inside a section, after the check.
 *
 * <p>Works through {@code java.lang.foreign.MemorySegment} where there is one to use (Java 22 on), else through {@code
 * sun.misc.Unsafe}, which later versions deny. Both are looked up by name, so that one class file serves all and the bundle imports
 * neither; as constant method handles they compile to the bare instruction. Values are in the host's byte order, which is little
 * endian on every host supported; naturally aligned ones are accessed atomically.
 */
final class RawMemory {
    private static final MethodHandle GET_BYTE;
    private static final MethodHandle GET_SHORT;
    private static final MethodHandle GET_INT;
    private static final MethodHandle GET_LONG;
    private static final MethodHandle PUT_BYTE;
    private static final MethodHandle PUT_SHORT;
    private static final MethodHandle PUT_INT;
    private static final MethodHandle PUT_LONG;
    private static final MethodHandle CAS_INT;
    private static final MethodHandle CAS_LONG;
    private static final MethodHandle COPY;
    private static final MethodHandle COPY_OUT;
    private static final MethodHandle COPY_IN;
    private static final MethodHandle FILL;
    private static final MethodHandle ADDRESS;

    static {
        if (ByteOrder.nativeOrder() != ByteOrder.LITTLE_ENDIAN) {
            throw new UnsupportedOperationException("guest memory needs a little-endian host");
        }
        try {
            Access access = Runtime.version().feature() >= 22 ? new Segments() : new Unsafes();
            GET_BYTE = access.get("BYTE", byte.class);
            GET_SHORT = access.get("SHORT", short.class);
            GET_INT = access.get("INT", int.class);
            GET_LONG = access.get("LONG", long.class);
            PUT_BYTE = access.put("BYTE", byte.class);
            PUT_SHORT = access.put("SHORT", short.class);
            PUT_INT = access.put("INT", int.class);
            PUT_LONG = access.put("LONG", long.class);
            CAS_INT = access.compareAndSet("INT", int.class);
            CAS_LONG = access.compareAndSet("LONG", long.class);
            COPY = access.copy();
            COPY_OUT = access.copyOut();
            COPY_IN = access.copyIn();
            FILL = access.fill();
            ADDRESS = access.addressOfDirectBuffer();
        } catch (ReflectiveOperationException e) {
            throw new LinkageError("this JVM gives no access to memory by address", e);
        }
        linkEverything();
    }

    private RawMemory() {}

    static byte getByte(long address) {
        try {
            return (byte) GET_BYTE.invokeExact(address);
        } catch (Throwable e) {
            throw undeclared(e);
        }
    }

    static short getShort(long address) {
        try {
            return (short) GET_SHORT.invokeExact(address);
        } catch (Throwable e) {
            throw undeclared(e);
        }
    }

    static int getInt(long address) {
        try {
            return (int) GET_INT.invokeExact(address);
        } catch (Throwable e) {
            throw undeclared(e);
        }
    }

    static long getLong(long address) {
        try {
            return (long) GET_LONG.invokeExact(address);
        } catch (Throwable e) {
            throw undeclared(e);
        }
    }

    static void putByte(long address, byte value) {
        try {
            PUT_BYTE.invokeExact(address, value);
        } catch (Throwable e) {
            throw undeclared(e);
        }
    }

    static void putShort(long address, short value) {
        try {
            PUT_SHORT.invokeExact(address, value);
        } catch (Throwable e) {
            throw undeclared(e);
        }
    }

    static void putInt(long address, int value) {
        try {
            PUT_INT.invokeExact(address, value);
        } catch (Throwable e) {
            throw undeclared(e);
        }
    }

    static void putLong(long address, long value) {
        try {
            PUT_LONG.invokeExact(address, value);
        } catch (Throwable e) {
            throw undeclared(e);
        }
    }

    /** As a loop on the aligned word around it, which lies in the same page. */
    static boolean compareAndSetByte(long address, byte expected, byte value) {
        return compareAndSetPart(address, 0xff, expected, value);
    }

    /** @param address a multiple of 2 */
    static boolean compareAndSetShort(long address, short expected, short value) {
        return compareAndSetPart(address, 0xffff, expected, value);
    }

    /** @param address a multiple of 4 */
    static boolean compareAndSetInt(long address, int expected, int value) {
        try {
            return (boolean) CAS_INT.invokeExact(address, expected, value);
        } catch (Throwable e) {
            throw undeclared(e);
        }
    }

    /** @param address a multiple of 8 */
    static boolean compareAndSetLong(long address, long expected, long value) {
        try {
            return (boolean) CAS_LONG.invokeExact(address, expected, value);
        } catch (Throwable e) {
            throw undeclared(e);
        }
    }

    private static boolean compareAndSetPart(long address, int mask, int expected, int value) {
        long word = address & ~3L;
        int shift = (int) (address & 3) * 8;
        int expectedPart = (expected & mask) << shift;
        int valuePart = (value & mask) << shift;
        while (true) {
            int old = getInt(word);
            if ((old & (mask << shift)) != expectedPart) {
                return false;
            }
            if (compareAndSetInt(word, old, (old & ~(mask << shift)) | valuePart)) {
                return true;
            }
        }
    }

    /** The ranges may overlap. */
    static void copy(long from, long to, long length) {
        try {
            COPY.invokeExact(from, to, length);
        } catch (Throwable e) {
            throw undeclared(e);
        }
    }

    static void copy(long from, byte[] to, int offset, int length) {
        try {
            COPY_OUT.invokeExact(from, to, offset, length);
        } catch (Throwable e) {
            throw undeclared(e);
        }
    }

    static void copy(byte[] from, int offset, long to, int length) {
        try {
            COPY_IN.invokeExact(from, offset, to, length);
        } catch (Throwable e) {
            throw undeclared(e);
        }
    }

    static void fill(long address, long length, byte value) {
        try {
            FILL.invokeExact(address, length, value);
        } catch (Throwable e) {
            throw undeclared(e);
        }
    }

    /** The host address of a direct buffer's first byte, index 0. The caller keeps the buffer reachable while it uses it. */
    static long addressOf(ByteBuffer direct) {
        try {
            return (long) ADDRESS.invokeExact(direct);
        } catch (Throwable e) {
            throw undeclared(e);
        }
    }

    /** None of the handles declares anything checked. */
    private static RuntimeException undeclared(Throwable thrown) {
        if (thrown instanceof Error error) {
            throw error;
        }
        if (thrown instanceof RuntimeException unchecked) {
            return unchecked;
        }
        return new IllegalStateException(thrown);
    }

    /** Uses each handle once, so that none is linked (which loads classes) in the middle of a section. */
    private static void linkEverything() {
        ByteBuffer scratch = ByteBuffer.allocateDirect(64);
        try {
            long address = (addressOf(scratch) + 7) & -8L;
            putByte(address, getByte(address));
            putShort(address, getShort(address));
            putInt(address, getInt(address));
            putLong(address, getLong(address));
            compareAndSetByte(address, (byte) 0, (byte) 0);
            compareAndSetShort(address, (short) 0, (short) 0);
            compareAndSetInt(address, 0, 0);
            compareAndSetLong(address, 0, 0);
            byte[] array = new byte[8];
            copy(address, address + 8, 8);
            copy(address, array, 0, 8);
            copy(array, 0, address, 8);
            fill(address, 8, (byte) 0);
        } finally {
            Reference.reachabilityFence(scratch);
        }
    }

    /** Where the handles come from. Shapes: as the methods above use them. */
    private abstract static class Access {
        final MethodHandles.Lookup lookup = MethodHandles.lookup();

        abstract MethodHandle get(String name, Class<?> type) throws ReflectiveOperationException;

        abstract MethodHandle put(String name, Class<?> type) throws ReflectiveOperationException;

        abstract MethodHandle compareAndSet(String name, Class<?> type) throws ReflectiveOperationException;

        abstract MethodHandle copy() throws ReflectiveOperationException;

        abstract MethodHandle copyOut() throws ReflectiveOperationException;

        abstract MethodHandle copyIn() throws ReflectiveOperationException;

        abstract MethodHandle fill() throws ReflectiveOperationException;

        abstract MethodHandle addressOfDirectBuffer() throws ReflectiveOperationException;

        /** By the platform's loader: inside a framework a bundle sees no more of the JDK than it imports. */
        static Class<?> jdkClass(String name) throws ClassNotFoundException {
            return Class.forName(name, true, ClassLoader.getPlatformClassLoader());
        }

        static final MethodType COPY_OUT_TYPE =
                MethodType.methodType(void.class, long.class, byte[].class, int.class, int.class);
        static final MethodType COPY_IN_TYPE =
                MethodType.methodType(void.class, byte[].class, int.class, long.class, int.class);
    }

    /** Java 22 on: one segment that spans all addresses. */
    private static final class Segments extends Access {
        private final Class<?> segment = jdkClass("java.lang.foreign.MemorySegment");
        private final Class<?> layout = jdkClass("java.lang.foreign.ValueLayout");
        private final Object everything;
        private final Object bytes = layout.getField("JAVA_BYTE").get(null);

        Segments() throws ReflectiveOperationException {
            Object nothing = segment.getField("NULL").get(null);
            try {
                everything = lookup.findVirtual(segment, "reinterpret", MethodType.methodType(segment, long.class))
                        .invoke(nothing, Long.MAX_VALUE);
            } catch (Throwable e) {
                throw new ReflectiveOperationException(e);
            }
        }

        private MethodHandle handle(String field, AccessMode mode) throws ReflectiveOperationException {
            Object value = layout.getField(field).get(null);
            VarHandle handle = (VarHandle) layout.getMethod("varHandle").invoke(value);
            return MethodHandles.insertArguments(handle.toMethodHandle(mode), 0, everything);
        }

        private static String unaligned(Class<?> type) {
            return type == byte.class ? "" : "_UNALIGNED";
        }

        @Override
        MethodHandle get(String name, Class<?> type) throws ReflectiveOperationException {
            return handle("JAVA_" + name + unaligned(type), AccessMode.GET);
        }

        @Override
        MethodHandle put(String name, Class<?> type) throws ReflectiveOperationException {
            return handle("JAVA_" + name + unaligned(type), AccessMode.SET);
        }

        @Override
        MethodHandle compareAndSet(String name, Class<?> type) throws ReflectiveOperationException {
            return handle("JAVA_" + name, AccessMode.COMPARE_AND_SET);
        }

        @Override
        MethodHandle copy() throws ReflectiveOperationException {
            MethodHandle copy = lookup.findStatic(
                    segment,
                    "copy",
                    MethodType.methodType(void.class, segment, long.class, segment, long.class, long.class));
            return MethodHandles.insertArguments(MethodHandles.insertArguments(copy, 2, everything), 0, everything);
        }

        @Override
        MethodHandle copyOut() throws ReflectiveOperationException {
            MethodHandle copy = lookup.findStatic(
                    segment,
                    "copy",
                    MethodType.methodType(void.class, segment, layout, long.class, Object.class, int.class, int.class));
            return MethodHandles.insertArguments(copy, 0, everything, bytes).asType(COPY_OUT_TYPE);
        }

        @Override
        MethodHandle copyIn() throws ReflectiveOperationException {
            MethodHandle copy = lookup.findStatic(
                    segment,
                    "copy",
                    MethodType.methodType(void.class, Object.class, int.class, segment, layout, long.class, int.class));
            return MethodHandles.insertArguments(copy, 2, everything, bytes).asType(COPY_IN_TYPE);
        }

        @Override
        MethodHandle fill() throws ReflectiveOperationException {
            MethodHandle slice = lookup.findVirtual(
                            segment, "asSlice", MethodType.methodType(segment, long.class, long.class))
                    .bindTo(everything);
            MethodHandle fill = lookup.findVirtual(segment, "fill", MethodType.methodType(segment, byte.class));
            return MethodHandles.dropReturn(MethodHandles.collectArguments(fill, 0, slice));
        }

        @Override
        MethodHandle addressOfDirectBuffer() throws ReflectiveOperationException {
            // ofBuffer spans position to limit; cleared, the address is that of index 0.
            MethodHandle clear = lookup.findVirtual(ByteBuffer.class, "clear", MethodType.methodType(ByteBuffer.class));
            MethodHandle duplicate =
                    lookup.findVirtual(ByteBuffer.class, "duplicate", MethodType.methodType(ByteBuffer.class));
            MethodHandle of = lookup.findStatic(segment, "ofBuffer", MethodType.methodType(segment, Buffer.class));
            MethodHandle address = lookup.findVirtual(segment, "address", MethodType.methodType(long.class));
            MethodHandle ofBytes = of.asType(MethodType.methodType(segment, ByteBuffer.class));
            return MethodHandles.filterReturnValue(
                    MethodHandles.filterReturnValue(MethodHandles.filterReturnValue(duplicate, clear), ofBytes),
                    address);
        }
    }

    /** Java 17 to 21. */
    private static final class Unsafes extends Access {
        private final Class<?> type = jdkClass("sun.misc.Unsafe");
        private final Object unsafe;
        private final int arrayBase;

        Unsafes() throws ReflectiveOperationException {
            Field theUnsafe = type.getDeclaredField("theUnsafe");
            theUnsafe.setAccessible(true);
            unsafe = theUnsafe.get(null);
            arrayBase = type.getField("ARRAY_BYTE_BASE_OFFSET").getInt(null);
        }

        private MethodHandle method(String name, Class<?> result, Class<?>... parameters)
                throws ReflectiveOperationException {
            return lookup.findVirtual(type, name, MethodType.methodType(result, parameters))
                    .bindTo(unsafe);
        }

        private static String capitalised(String name) {
            return name.charAt(0) + name.substring(1).toLowerCase(java.util.Locale.ROOT);
        }

        @Override
        MethodHandle get(String name, Class<?> value) throws ReflectiveOperationException {
            return method("get" + capitalised(name), value, long.class);
        }

        @Override
        MethodHandle put(String name, Class<?> value) throws ReflectiveOperationException {
            return method("put" + capitalised(name), void.class, long.class, value);
        }

        @Override
        MethodHandle compareAndSet(String name, Class<?> value) throws ReflectiveOperationException {
            MethodHandle swap =
                    method("compareAndSwap" + capitalised(name), boolean.class, Object.class, long.class, value, value);
            return MethodHandles.insertArguments(swap, 0, (Object) null);
        }

        @Override
        MethodHandle copy() throws ReflectiveOperationException {
            return method("copyMemory", void.class, long.class, long.class, long.class);
        }

        private MethodHandle copyBetween() throws ReflectiveOperationException {
            return method("copyMemory", void.class, Object.class, long.class, Object.class, long.class, long.class);
        }

        /** From the index in an array to what Unsafe wants. */
        private MethodHandle arrayOffset() throws ReflectiveOperationException {
            MethodHandle sum =
                    lookup.findStatic(Long.class, "sum", MethodType.methodType(long.class, long.class, long.class));
            return MethodHandles.insertArguments(sum, 0, (long) arrayBase);
        }

        @Override
        MethodHandle copyOut() throws ReflectiveOperationException {
            MethodHandle copy = MethodHandles.insertArguments(copyBetween(), 0, (Object) null);
            return MethodHandles.filterArguments(copy, 2, arrayOffset()).asType(COPY_OUT_TYPE);
        }

        @Override
        MethodHandle copyIn() throws ReflectiveOperationException {
            MethodHandle copy = MethodHandles.insertArguments(copyBetween(), 2, (Object) null);
            return MethodHandles.filterArguments(copy, 1, arrayOffset()).asType(COPY_IN_TYPE);
        }

        @Override
        MethodHandle fill() throws ReflectiveOperationException {
            return method("setMemory", void.class, long.class, long.class, byte.class);
        }

        @Override
        MethodHandle addressOfDirectBuffer() throws ReflectiveOperationException {
            long field = (long) type.getMethod("objectFieldOffset", Field.class)
                    .invoke(unsafe, Buffer.class.getDeclaredField("address"));
            MethodHandle read = method("getLong", long.class, Object.class, long.class);
            return MethodHandles.insertArguments(read, 1, field)
                    .asType(MethodType.methodType(long.class, ByteBuffer.class));
        }
    }
}
