package io.membacking.partition.reference;

import io.membacking.partition.CpuModel;
import io.membacking.partition.CpuModel.Leaf;
import io.membacking.partition.ProcessorState.VectorState;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.function.ToIntFunction;

/** What CPUID answers: the reference processor's own model, and how any model is read. */
final class CpuidTable {
    /** Bits of a guest-physical address that a model can have: all that the architecture has. */
    static final int MOST_PHYSICAL_WIDTH = 52;

    /** Those of the processor's own model: as many as desktop processors have that run hypervisors. */
    private static final int PHYSICAL_WIDTH = 39;

    private static final int FEATURES = 1;
    private static final int STRUCTURED = 7;
    private static final int TOPOLOGY = 0xb;
    private static final int TOPOLOGY_V2 = 0x1f;
    private static final int XSAVE = 0xd;
    private static final int TIME_STAMP = 0x15;
    private static final int EXTENDED = 0x80000000;
    private static final int EXTENDED_FEATURES = 0x80000001;
    private static final int NAME = 0x80000002;
    private static final int ADDRESS_SIZES = 0x80000008;
    private static final int AMD_TOPOLOGY = 0x8000001e;

    // TSC, PAE and 4 MiB pages, MSRs, CMPXCHG8B, global pages, CMOV, PAT, 36-bit 4 MiB pages.
    private static final int EDX = 1 << 4 | 1 << 3 | 1 << 6 | 1 << 5 | 1 << 8 | 1 << 13 | 1 << 15 | 1 << 16 | 1 << 17;
    // CMPXCHG16B, a hypervisor.
    private static final int ECX = 1 << 13 | 1 << 31;
    // SYSCALL, no-execute, long mode.
    private static final int EXTENDED_EDX = 1 << 11 | 1 << 20 | 1 << 29;
    // LAHF in 64-bit code.
    private static final int EXTENDED_ECX = 1;

    private static final int XSAVE_IN_ECX = 1 << 26;
    private static final int FSGSBASE = 1;
    private static final int SMEP = 1 << 7;
    private static final int SMAP = 1 << 20;
    private static final int UMIP = 1 << 2;
    private static final int LA57 = 1 << 16;
    private static final int RDPID = 1 << 22;
    private static final int PCID = 1 << 17;
    private static final int NO_EXECUTE = 1 << 20;
    private static final int RDTSCP = 1 << 27;

    private static final int OSXSAVE = 1 << 27;

    private static final long DEFAULT_FREQUENCY = 1_000_000_000L;

    private CpuidTable() {}

    /**
     * What every processor has that runs a hypervisor, and nothing that only some have: so a guest that began here can go elsewhere.
     */
    static CpuModel own() {
        List<Leaf> leaves = new ArrayList<>();
        // "MembackingRf"
        leaves.add(leaf(0, TIME_STAMP, 0x626d654d, 0x6652676e, 0x696b6361));
        leaves.add(leaf(FEATURES, 0x600, 1 << 16, ECX, EDX)); // family 6; room for one logical processor
        leaves.add(leaf(STRUCTURED, 0, 0, 0, 0));
        leaves.add(leaf(TIME_STAMP, 1, 1, (int) DEFAULT_FREQUENCY, 0)); // the counter and its crystal: 1 GHz
        leaves.add(leaf(EXTENDED, ADDRESS_SIZES, 0, 0, 0));
        leaves.add(leaf(EXTENDED_FEATURES, 0, 0, EXTENDED_ECX, EXTENDED_EDX));
        ByteBuffer name = ByteBuffer.allocate(48).order(ByteOrder.LITTLE_ENDIAN);
        name.put("Membacking reference processor".getBytes(StandardCharsets.US_ASCII));
        for (int i = 0; i < 3; i++) {
            leaves.add(leaf(
                    NAME + i,
                    name.getInt(16 * i),
                    name.getInt(16 * i + 4),
                    name.getInt(16 * i + 8),
                    name.getInt(16 * i + 12)));
        }
        leaves.add(leaf(ADDRESS_SIZES, PHYSICAL_WIDTH | 48 << 8, 0, 0, 0));
        return new CpuModel(leaves);
    }

    private static Leaf leaf(int function, int eax, int ebx, int ecx, int edx) {
        return new Leaf(function, 0, false, eax, ebx, ecx, edx);
    }

    /** The answer for one processor of several. */
    static Leaf answer(CpuModel model, int function, int index, int apicId, boolean osxsave) {
        Leaf leaf = model.leaf(function, index).orElseGet(() -> leaf(function, 0, 0, 0, 0));
        int eax = leaf.eax();
        int ebx = leaf.ebx();
        int ecx = leaf.ecx();
        int edx = leaf.edx();
        switch (function) {
            case FEATURES -> {
                ebx = (ebx & 0x00ffffff) | apicId << 24;
                ecx = osxsave ? ecx | OSXSAVE : ecx & ~OSXSAVE;
            }
            case TOPOLOGY, TOPOLOGY_V2 -> edx = apicId;
            case AMD_TOPOLOGY -> eax = apicId;
            default -> {}
        }
        return new Leaf(function, index, leaf.indexed(), eax, ebx, ecx, edx);
    }

    private static boolean has(CpuModel model, int function, ToIntFunction<Leaf> register, int feature) {
        return model.leaf(function, 0)
                .map(leaf -> (register.applyAsInt(leaf) & feature) != 0)
                .orElse(false);
    }

    /** The bits of CR4 that the model's processors have, of those that the subset knows. */
    static long controlBits(CpuModel model) {
        long bits = Registers.CR4_ALWAYS;
        bits |= has(model, FEATURES, Leaf::ecx, XSAVE_IN_ECX) ? Registers.CR4_OSXSAVE : 0;
        bits |= has(model, FEATURES, Leaf::ecx, PCID) ? Registers.CR4_PCIDE : 0;
        bits |= has(model, STRUCTURED, Leaf::ebx, FSGSBASE) ? Registers.CR4_FSGSBASE : 0;
        bits |= has(model, STRUCTURED, Leaf::ebx, SMEP) ? Registers.CR4_SMEP : 0;
        bits |= has(model, STRUCTURED, Leaf::ebx, SMAP) ? Registers.CR4_SMAP : 0;
        bits |= has(model, STRUCTURED, Leaf::ecx, UMIP) ? Registers.CR4_UMIP : 0;
        return bits | (has(model, STRUCTURED, Leaf::ecx, LA57) ? Registers.CR4_LA57 : 0);
    }

    /** The bits of EFER that the guest can set. */
    static long extendedFeatures(CpuModel model) {
        long bits = Registers.EFER_SCE | Registers.EFER_LME;
        return bits | (has(model, EXTENDED_FEATURES, Leaf::edx, NO_EXECUTE) ? Registers.EFER_NXE : 0);
    }

    /** Whether there is the register that RDTSCP and RDPID tell. */
    static boolean hasTimeStampAux(CpuModel model) {
        return has(model, EXTENDED_FEATURES, Leaf::edx, RDTSCP) || has(model, STRUCTURED, Leaf::ecx, RDPID);
    }

    static int physicalWidth(CpuModel model) {
        return model.leaf(ADDRESS_SIZES, 0)
                .map(leaf -> leaf.eax() & 0xff)
                .filter(width -> width >= 32 && width <= MOST_PHYSICAL_WIDTH)
                .orElse(36);
    }

    /** Hz; that of the model's crystal and ratio, where it tells. */
    static long timeStampFrequency(CpuModel model) {
        Optional<Leaf> told = model.leaf(TIME_STAMP, 0).filter(l -> l.eax() != 0 && l.ebx() != 0 && l.ecx() != 0);
        return told.map(l -> (l.ecx() & 0xffffffffL) * (l.ebx() & 0xffffffffL) / (l.eax() & 0xffffffffL))
                .orElse(DEFAULT_FREQUENCY);
    }

    /** Bytes of the XSAVE area that the model's processors have at most. */
    static int xsaveSize(CpuModel model) {
        return Math.max(
                VectorState.LEAST_SIZE, model.leaf(XSAVE, 0).map(Leaf::ecx).orElse(0));
    }
}
