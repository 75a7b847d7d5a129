package io.membacking.partition.kvm;

import com.sun.jna.Memory;
import io.membacking.partition.CpuModel;
import io.membacking.partition.ProcessorState.VectorState;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/** The processor that a guest sees, as CPUID tells it: all that the host's KVM supports, or a model asked for. Immutable. */
record CpuidTable(List<Leaf> leaves) {
    /** One answer of CPUID. */
    record Leaf(int function, int index, int flags, int eax, int ebx, int ecx, int edx) {
        private Leaf with(int newEax, int newEbx, int newEcx, int newEdx) {
            return new Leaf(function, index, flags, newEax, newEbx, newEcx, newEdx);
        }
    }

    private static final int LEAF_FEATURES = 1;
    private static final int LEAF_TOPOLOGY = 0xb;
    private static final int LEAF_XSAVE = 0xd;
    private static final int LEAF_TOPOLOGY_V2 = 0x1f;
    private static final int LEAF_KVM_FEATURES = 0x40000001;
    private static final int LEAF_EXTENDED_FEATURES = 0x80000001;
    private static final int LEAF_ADDRESS_SIZES = 0x80000008;
    private static final int LEAF_AMD_TOPOLOGY = 0x8000001e;

    private static final int EBX_LOGICAL_PROCESSORS = 0x00ff0000;
    private static final int ECX_VMX = 1 << 5;
    private static final int ECX_X2APIC = 1 << 21;
    private static final int ECX_TSC_DEADLINE = 1 << 24;
    private static final int ECX_HYPERVISOR = 1 << 31;

    /** In the leaf of features, and on AMD in that of extended ones too. */
    private static final int EDX_APIC = 1 << 9;

    private static final int EXTENDED_ECX_SVM = 1 << 2;
    private static final int EXTENDED_ECX_EXTAPIC = 1 << 3;

    /**
     * What a guest and KVM do by way of a local APIC: page faults told later (4, 10, 14), the end of an interrupt by memory (6),
     * waking one that waits for a lock (7), interrupts to many (11), and yielding to the receiver of one (13).
     *
     * @see <a href="https://docs.kernel.org/virt/kvm/x86/cpuid.html">KVM CPUID bits</a>
     */
    private static final int KVM_FEATURES_OF_APIC = 1 << 4 | 1 << 6 | 1 << 7 | 1 << 10 | 1 << 11 | 1 << 13 | 1 << 14;

    /** The least that a processor with long mode has, where the leaf is missing. */
    private static final int LEAST_PHYSICAL_ADDRESS_WIDTH = 36;

    CpuidTable {
        leaves = List.copyOf(leaves);
    }

    static CpuidTable of(CpuModel model) {
        List<Leaf> leaves = new ArrayList<>();
        for (CpuModel.Leaf leaf : model.leaves()) {
            leaves.add(new Leaf(
                    leaf.function(),
                    leaf.index(),
                    leaf.indexed() ? KvmAbi.KVM_CPUID_FLAG_SIGNIFCANT_INDEX : 0,
                    leaf.eax(),
                    leaf.ebx(),
                    leaf.ecx(),
                    leaf.edx()));
        }
        return new CpuidTable(leaves);
    }

    CpuModel toModel() {
        return new CpuModel(leaves.stream()
                .map(leaf -> new CpuModel.Leaf(
                        leaf.function(),
                        leaf.index(),
                        (leaf.flags() & KvmAbi.KVM_CPUID_FLAG_SIGNIFCANT_INDEX) != 0,
                        leaf.eax(),
                        leaf.ebx(),
                        leaf.ecx(),
                        leaf.edx()))
                .toList());
    }

    /** From a {@code struct kvm_cpuid2}. */
    static CpuidTable from(Memory table) {
        List<Leaf> leaves = new ArrayList<>();
        for (int i = 0; i < table.getInt(KvmAbi.CPUID2_COUNT); i++) {
            long at = KvmAbi.CPUID2_HEADER_SIZE + (long) i * KvmAbi.CPUID_ENTRY_SIZE;
            leaves.add(new Leaf(
                    table.getInt(at + KvmAbi.CPUID_FUNCTION),
                    table.getInt(at + KvmAbi.CPUID_INDEX),
                    table.getInt(at + KvmAbi.CPUID_FLAGS),
                    table.getInt(at + KvmAbi.CPUID_EAX),
                    table.getInt(at + KvmAbi.CPUID_EBX),
                    table.getInt(at + KvmAbi.CPUID_ECX),
                    table.getInt(at + KvmAbi.CPUID_EDX)));
        }
        return new CpuidTable(leaves);
    }

    /** As a {@code struct kvm_cpuid2}, which the caller closes. */
    Memory toMemory() {
        Memory table = new Memory(KvmAbi.CPUID2_HEADER_SIZE + (long) leaves.size() * KvmAbi.CPUID_ENTRY_SIZE);
        table.clear();
        table.setInt(KvmAbi.CPUID2_COUNT, leaves.size());
        for (int i = 0; i < leaves.size(); i++) {
            Leaf leaf = leaves.get(i);
            long at = KvmAbi.CPUID2_HEADER_SIZE + (long) i * KvmAbi.CPUID_ENTRY_SIZE;
            table.setInt(at + KvmAbi.CPUID_FUNCTION, leaf.function());
            table.setInt(at + KvmAbi.CPUID_INDEX, leaf.index());
            table.setInt(at + KvmAbi.CPUID_FLAGS, leaf.flags());
            table.setInt(at + KvmAbi.CPUID_EAX, leaf.eax());
            table.setInt(at + KvmAbi.CPUID_EBX, leaf.ebx());
            table.setInt(at + KvmAbi.CPUID_ECX, leaf.ecx());
            table.setInt(at + KvmAbi.CPUID_EDX, leaf.edx());
        }
        return table;
    }

    Optional<Leaf> leaf(int function, int index) {
        return leaves.stream()
                .filter(leaf -> leaf.function() == function
                        && ((leaf.flags() & KvmAbi.KVM_CPUID_FLAG_SIGNIFCANT_INDEX) == 0 || leaf.index() == index))
                .findFirst();
    }

    /** Bits of a guest-physical address. */
    int physicalAddressWidth() {
        return leaf(LEAF_ADDRESS_SIZES, 0).map(leaf -> leaf.eax() & 0xff).orElse(LEAST_PHYSICAL_ADDRESS_WIDTH);
    }

    /** Bytes of an XSAVE area in the standard format for all vector components that there are. */
    int vectorSize() {
        return Math.max(
                VectorState.LEAST_SIZE, leaf(LEAF_XSAVE, 0).map(Leaf::ecx).orElse(0));
    }

    /** What one processor of several is to answer: its own APIC id in every leaf that has it. */
    CpuidTable forProcessor(int apicId) {
        List<Leaf> own = new ArrayList<>(leaves.size());
        for (Leaf leaf : leaves) {
            own.add(
                    switch (leaf.function()) {
                        case LEAF_FEATURES ->
                            leaf.with(leaf.eax(), (leaf.ebx() & 0x00ffffff) | apicId << 24, leaf.ecx(), leaf.edx());
                        case LEAF_TOPOLOGY, LEAF_TOPOLOGY_V2 -> leaf.with(leaf.eax(), leaf.ebx(), leaf.ecx(), apicId);
                        case LEAF_AMD_TOPOLOGY -> leaf.with(apicId, leaf.ebx(), leaf.ecx(), leaf.edx());
                        default -> leaf;
                    });
        }
        return new CpuidTable(own);
    }

    /**
     * What a partition's processors can be, of what KVM reports: of the APIC's features only those that are there, and no hypervisor
     * of their own. KVM reports what it could do with its own APIC, whether the partition has one or not; and nested
     * virtualization, where that is on, has state that does not move.
     *
     * @param tscDeadline whether KVM's APIC has that timer mode; it is not in what KVM reports
     */
    CpuidTable forPartition(boolean interruptControllers, boolean tscDeadline, int maxProcessors) {
        List<Leaf> own = new ArrayList<>(leaves.size());
        for (Leaf leaf : leaves) {
            own.add(
                    switch (leaf.function()) {
                        case LEAF_FEATURES -> features(leaf, interruptControllers, tscDeadline, maxProcessors);
                        case LEAF_EXTENDED_FEATURES -> extendedFeatures(leaf, interruptControllers);
                        case LEAF_KVM_FEATURES ->
                            interruptControllers
                                    ? leaf
                                    : leaf.with(leaf.eax() & ~KVM_FEATURES_OF_APIC, leaf.ebx(), leaf.ecx(), leaf.edx());
                        default -> leaf;
                    });
        }
        return new CpuidTable(own);
    }

    private static Leaf extendedFeatures(Leaf leaf, boolean interruptControllers) {
        int ecx = leaf.ecx() & ~EXTENDED_ECX_SVM;
        int edx = leaf.edx();
        if (!interruptControllers) {
            ecx &= ~EXTENDED_ECX_EXTAPIC;
            edx &= ~EDX_APIC;
        }
        return leaf.with(leaf.eax(), leaf.ebx(), ecx, edx);
    }

    private static Leaf features(Leaf leaf, boolean interruptControllers, boolean tscDeadline, int maxProcessors) {
        int ebx = (leaf.ebx() & ~EBX_LOGICAL_PROCESSORS) | Math.min(maxProcessors, 0xff) << 16;
        int ecx = (leaf.ecx() | ECX_HYPERVISOR) & ~ECX_VMX;
        int edx = leaf.edx();
        if (!interruptControllers) {
            ecx &= ~(ECX_X2APIC | ECX_TSC_DEADLINE);
            edx &= ~EDX_APIC;
        } else if (tscDeadline) {
            ecx |= ECX_TSC_DEADLINE;
        }
        return leaf.with(leaf.eax(), ebx, ecx, edx);
    }
}
