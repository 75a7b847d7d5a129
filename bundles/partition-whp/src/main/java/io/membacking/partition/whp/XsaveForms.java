package io.membacking.partition.whp;

import io.membacking.error.BackendException;
import io.membacking.partition.CpuModel;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Objects;
import java.util.SortedMap;
import java.util.TreeMap;

/**
 * The two forms of an XSAVE area: the standard one, with every component at a place of its own, is the portable one; in the
 * compacted one, which some versions of the platform give and take, the components lie one after the other. Immutable.
 *
 * @param components from 2 on by number: those before are in the legacy region, which both forms have alike
 * @see <a href="https://www.intel.com/sdm">Intel 64 and IA-32 Architectures Software Developer's Manual, volume 1, sections 13.4, 13.8
 *     and 13.10</a>
 */
record XsaveForms(SortedMap<Integer, Component> components) {
    /**
     * What CPUID leaf 0xd tells of one, in bytes.
     *
     * @param offset in the standard form
     * @param aligned whether the compacted form has it at a multiple of 64
     * @param supervisor whether the standard form has no place for it
     */
    record Component(int size, int offset, boolean aligned, boolean supervisor) {}

    static final int HEADER_END = 576;

    private static final int FCW = 0;
    private static final int MXCSR = 24;
    private static final int MXCSR_END = 32;
    private static final int XMM = 160;
    private static final int LEGACY_USED = 416;
    private static final int XSTATE_BV = 512;
    private static final int XCOMP_BV = 520;

    private static final long X87 = 1;
    private static final long SSE = 2;
    private static final long COMPACTED = 1L << 63;
    private static final short INITIAL_FCW = 0x37f;
    private static final int INITIAL_MXCSR = 0x1f80;
    private static final int MOST = 62;

    /** @param model what the processor shows; without leaf 0xd there is nothing but the legacy region */
    static XsaveForms of(CpuModel model) {
        TreeMap<Integer, Component> components = new TreeMap<>();
        for (int number = 2; number <= MOST; number++) {
            int component = number;
            model.leaf(0xd, number)
                    .filter(leaf -> leaf.indexed() && leaf.eax() != 0)
                    .ifPresent(leaf -> components.put(
                            component,
                            new Component(leaf.eax(), leaf.ebx(), (leaf.ecx() & 2) != 0, (leaf.ecx() & 1) != 0)));
        }
        return new XsaveForms(components);
    }

    static boolean isCompacted(byte[] area) {
        return (little(area).getLong(XCOMP_BV) & COMPACTED) != 0;
    }

    private static ByteBuffer little(byte[] area) {
        return ByteBuffer.wrap(area).order(ByteOrder.LITTLE_ENDIAN);
    }

    private static boolean has(long components, int number) {
        return (components >>> number & 1) != 0;
    }

    /** The length of the standard form. */
    private int standardSize() {
        return components.values().stream()
                .filter(component -> !component.supervisor())
                .mapToInt(component -> component.offset() + component.size())
                .reduce(HEADER_END, Math::max);
    }

    /** Where the components lie in the compacted form; the end comes last, as number 63. */
    private SortedMap<Integer, Integer> places(long format, String operation) throws BackendException {
        TreeMap<Integer, Integer> places = new TreeMap<>();
        int at = HEADER_END;
        for (int number = 2; number <= MOST; number++) {
            if (has(format, number)) {
                Component component = components.get(number);
                if (component == null) {
                    throw WhpErrors.refused(
                            operation,
                            null,
                            "the vector registers have component " + number + ", which CPUID does not describe",
                            "choose a processor model without it");
                }
                at = component.aligned() ? at + 63 & -64 : at;
                places.put(number, at);
                at += component.size();
            }
        }
        places.put(MOST + 1, at);
        return places;
    }

    /**
     * From the compacted form. What is in its initial state is written as such. Supervisor components, which the standard form cannot
     * hold, are left out.
     */
    byte[] standard(byte[] compacted, String operation) throws BackendException {
        ByteBuffer source = little(compacted);
        SortedMap<Integer, Integer> places = places(source.getLong(XCOMP_BV), operation);
        checkLength(compacted, places, operation);
        long present = source.getLong(XSTATE_BV) & ~COMPACTED;
        byte[] standard = new byte[standardSize()];
        ByteBuffer target = little(standard);
        copyLegacy(compacted, present, standard);
        long state = present & (X87 | SSE);
        for (int number : places.headMap(MOST + 1).keySet()) {
            Component component = component(number);
            if (has(present, number) && !component.supervisor()) {
                System.arraycopy(compacted, place(places, number), standard, component.offset(), component.size());
                state |= 1L << number;
            }
        }
        target.putLong(XSTATE_BV, state);
        return standard;
    }

    /**
     * From the standard form.
     *
     * @param now the processor's own area, in the compacted form: it tells the components that the platform wants to be given, and
     *     the supervisor ones are kept from it
     */
    byte[] compacted(byte[] standard, byte[] now, String operation) throws BackendException {
        ByteBuffer source = little(standard);
        long present = source.getLong(XSTATE_BV);
        long format = little(now).getLong(XCOMP_BV);
        SortedMap<Integer, Integer> placesNow = places(format, operation);
        checkLength(now, placesNow, operation);
        SortedMap<Integer, Integer> places = places(format | present, operation);
        byte[] compacted = new byte[place(places, MOST + 1)];
        ByteBuffer target = little(compacted);
        // In the standard form it counts even where the other SSE registers are in their initial state.
        long legacy = (present & (X87 | SSE)) | (source.getInt(MXCSR) != INITIAL_MXCSR ? SSE : 0);
        copyLegacy(standard, present, compacted);
        target.putInt(MXCSR, source.getInt(MXCSR));
        long state = legacy;
        for (int number : places.headMap(MOST + 1).keySet()) {
            Component component = component(number);
            long bit = 1L << number;
            int at = place(places, number);
            if (component.supervisor()) {
                if (placesNow.containsKey(number)) {
                    System.arraycopy(now, place(placesNow, number), compacted, at, component.size());
                    state |= little(now).getLong(XSTATE_BV) & bit;
                }
            } else if ((present & bit) != 0) {
                if (component.offset() + component.size() > standard.length) {
                    throw WhpErrors.refused(
                            operation,
                            null,
                            "the vector registers are to have component " + number + ", and their area of "
                                    + standard.length + " bytes ends before it",
                            "give the whole area");
                }
                System.arraycopy(standard, component.offset(), compacted, at, component.size());
                state |= bit;
            }
        }
        target.putLong(XSTATE_BV, state);
        target.putLong(XCOMP_BV, format | present | COMPACTED);
        return compacted;
    }

    private static void copyLegacy(byte[] source, long present, byte[] target) {
        ByteBuffer to = little(target);
        if ((present & X87) != 0) {
            System.arraycopy(source, FCW, target, FCW, MXCSR);
            System.arraycopy(source, MXCSR_END, target, MXCSR_END, XMM - MXCSR_END);
        } else {
            to.putShort(FCW, INITIAL_FCW);
        }
        System.arraycopy(source, MXCSR, target, MXCSR, MXCSR_END - MXCSR);
        if ((present & SSE) != 0) {
            System.arraycopy(source, XMM, target, XMM, LEGACY_USED - XMM);
        } else {
            to.putInt(MXCSR, INITIAL_MXCSR);
        }
    }

    private static void checkLength(byte[] area, SortedMap<Integer, Integer> places, String operation)
            throws BackendException {
        if (area.length < place(places, MOST + 1)) {
            throw WhpErrors.refused(
                    operation,
                    null,
                    "the platform's area of vector registers has " + area.length + " bytes where "
                            + place(places, MOST + 1) + " are needed",
                    "report it, with the version of Windows");
        }
    }

    private Component component(int number) {
        return Objects.requireNonNull(components.get(number));
    }

    private static int place(SortedMap<Integer, Integer> places, int number) {
        return Objects.requireNonNull(places.get(number));
    }
}
