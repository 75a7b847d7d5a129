package io.membacking.partition.kvm;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.sun.jna.Memory;
import com.sun.jna.Pointer;
import io.membacking.error.BackendException;
import io.membacking.partition.Exit;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.List;
import java.util.function.IntSupplier;
import org.junit.jupiter.api.Test;

/** Exits that the KVM at hand may not produce, from a run area that the test writes. */
class KvmExitTest {
    private static final int SIZE = 0x3000;

    private final Memory area = new Memory(SIZE);
    private final Deque<IntSupplier> script = new ArrayDeque<>();
    private final KvmProcessor processor;

    KvmExitTest() {
        area.clear();
        Scripted calls = new Scripted();
        processor = new KvmProcessor(
                calls,
                "scripted",
                0,
                7,
                new RunArea(Pointer.nativeValue(area)),
                SIZE,
                new StateShape(
                        false,
                        true,
                        true,
                        true,
                        KvmAbi.XSAVE_SIZE,
                        576,
                        true,
                        false,
                        new MsrList(List.of(), List.of())));
    }

    private void exits(int reason) {
        script.add(() -> {
            area.setInt(KvmAbi.RUN_EXIT_REASON, reason);
            return 0;
        });
    }

    @Test
    void interruptionsWithoutAReasonAreNotSeen() throws Exception {
        script.add(() -> -Errno.EINTR);
        script.add(() -> -Errno.EAGAIN);
        exits(KvmAbi.KVM_EXIT_INTR);
        exits(KvmAbi.KVM_EXIT_SET_TPR);
        exits(KvmAbi.KVM_EXIT_HLT);
        assertInstanceOf(Exit.Halt.class, processor.run());
        assertTrue(script.isEmpty());
    }

    @Test
    void systemEventsAreShutdownsWithTheirNames() throws Exception {
        int[] types = {1, 2, 3, 77};
        String[] words = {"power off", "reset", "crash", "77"};
        for (int i = 0; i < types.length; i++) {
            exits(KvmAbi.KVM_EXIT_SYSTEM_EVENT);
            area.setInt(KvmAbi.RUN_SYSTEM_EVENT_TYPE, types[i]);
            String detail =
                    assertInstanceOf(Exit.Shutdown.class, processor.run()).detail();
            assertTrue(detail.contains(words[i]), detail);
        }
    }

    @Test
    void memoryFaultsHaveTheirAddressWhereKvmTellsIt() throws Exception {
        script.add(() -> -Errno.EFAULT);
        assertEquals(
                -1, assertInstanceOf(Exit.MemoryFault.class, processor.run()).gpa());
        script.add(() -> {
            area.setInt(KvmAbi.RUN_EXIT_REASON, KvmAbi.KVM_EXIT_MEMORY_FAULT);
            area.setLong(KvmAbi.RUN_MEMORY_FAULT_GPA, 0x123000);
            return -Errno.EFAULT;
        });
        assertEquals(
                0x123000,
                assertInstanceOf(Exit.MemoryFault.class, processor.run()).gpa());
        exits(KvmAbi.KVM_EXIT_MEMORY_FAULT);
        assertEquals(
                0x123000,
                assertInstanceOf(Exit.MemoryFault.class, processor.run()).gpa());
        script.add(() -> -Errno.EHWPOISON);
        assertInstanceOf(Exit.MemoryFault.class, processor.run());
    }

    @Test
    void internalErrorsAreNamedAndHaveBytesOnlyIfKvmTellsThem() throws Exception {
        for (int suberror : new int[] {2, 3, 4, 99}) {
            exits(KvmAbi.KVM_EXIT_INTERNAL_ERROR);
            area.setInt(KvmAbi.RUN_INTERNAL_SUBERROR, suberror);
            Exit.EmulationFailure failure = assertInstanceOf(Exit.EmulationFailure.class, processor.run());
            assertEquals(0, failure.instruction().length);
            assertEquals(0xabcdef, failure.rip());
            assertTrue(failure.detail().contains("KVM"), failure::detail);
        }
        area.setInt(KvmAbi.RUN_INTERNAL_SUBERROR, KvmAbi.KVM_INTERNAL_ERROR_EMULATION);
        area.setInt(KvmAbi.RUN_EMULATION_NDATA, 3);
        area.setLong(KvmAbi.RUN_EMULATION_FLAGS, 0);
        area.setByte(KvmAbi.RUN_EMULATION_INSN_SIZE, (byte) 3);
        area.write(KvmAbi.RUN_EMULATION_INSN_BYTES, new byte[] {1, 2, 3, 4}, 0, 4);
        exits(KvmAbi.KVM_EXIT_INTERNAL_ERROR);
        assertEquals(
                0,
                assertInstanceOf(Exit.EmulationFailure.class, processor.run()).instruction().length);
        area.setLong(KvmAbi.RUN_EMULATION_FLAGS, 1);
        exits(KvmAbi.KVM_EXIT_INTERNAL_ERROR);
        assertArrayEquals(
                new byte[] {1, 2, 3},
                assertInstanceOf(Exit.EmulationFailure.class, processor.run()).instruction());
        area.setByte(KvmAbi.RUN_EMULATION_INSN_SIZE, (byte) 200);
        exits(KvmAbi.KVM_EXIT_INTERNAL_ERROR);
        assertEquals(
                15,
                assertInstanceOf(Exit.EmulationFailure.class, processor.run()).instruction().length);
    }

    @Test
    void whatKvmCannotOrWillNotDoIsAnErrorThatNamesIt() {
        exits(KvmAbi.KVM_EXIT_FAIL_ENTRY);
        area.setLong(KvmAbi.RUN_FAIL_ENTRY_REASON, 0x80000021L);
        String message = assertThrows(BackendException.class, processor::run).getMessage();
        assertTrue(message.contains("0x80000021"), message);
        exits(4242);
        BackendException unknown = assertThrows(BackendException.class, processor::run);
        assertTrue(unknown.getMessage().contains("4242"), unknown::getMessage);
        assertTrue(unknown.failure().remedy().contains("newer"), unknown::getMessage);
        script.add(() -> -Errno.ENOSPC);
        message = assertThrows(BackendException.class, processor::run).getMessage();
        assertTrue(message.contains("map memory"), message);
        script.add(() -> -Errno.EIO);
        message = assertThrows(BackendException.class, processor::run).getMessage();
        assertTrue(message.contains("EIO"), message);
    }

    @Test
    void portInputOfSeveralItemsGoesWhereTheAreaSays() throws Exception {
        exits(KvmAbi.KVM_EXIT_IO);
        area.setByte(KvmAbi.RUN_IO_DIRECTION, (byte) KvmAbi.KVM_EXIT_IO_IN);
        area.setByte(KvmAbi.RUN_IO_SIZE, (byte) 2);
        area.setShort(KvmAbi.RUN_IO_PORT, (short) 0xfffe);
        area.setInt(KvmAbi.RUN_IO_COUNT, 3);
        area.setLong(KvmAbi.RUN_IO_DATA_OFFSET, 0x1000);
        area.setLong(0x1000, -1);
        Exit.PortIo exit = assertInstanceOf(Exit.PortIo.class, processor.run());
        assertEquals(0xfffe, exit.port());
        assertArrayEquals(new byte[6], exit.data());
        exit.setValue(0, 0x1111);
        exit.setValue(1, 0x2222);
        exit.setValue(2, 0x3333);
        script.add(() -> {
            assertEquals(0xffff333322221111L, area.getLong(0x1000));
            area.setInt(KvmAbi.RUN_EXIT_REASON, KvmAbi.KVM_EXIT_HLT);
            return 0;
        });
        assertInstanceOf(Exit.Halt.class, processor.run());
    }

    /** Runs what the script says next; knows no registers but RIP. */
    private final class Scripted implements Syscalls {
        @Override
        public int open(String path) {
            return -Errno.ENOENT;
        }

        @Override
        public void close(int fd) {}

        @Override
        public int ioctl(int fd, long request, long argument) {
            return -Errno.ENOTTY;
        }

        @Override
        public int ioctl(int fd, long request, Pointer argument) {
            if (request != KvmAbi.KVM_GET_REGS) {
                return -Errno.ENOTTY;
            }
            argument.setLong(KvmAbi.REGS_RIP, 0xabcdef);
            return 0;
        }

        @Override
        public int run(int fd) {
            return script.remove().getAsInt();
        }

        @Override
        public long map(int fd, long length) {
            return -Errno.ENOMEM;
        }

        @Override
        public void unmap(long address, long length) {}

        @Override
        public long currentThread() {
            return 1;
        }

        @Override
        public void kick(long thread) {}

        @Override
        public void close() {}
    }
}
