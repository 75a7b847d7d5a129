package io.membacking.partition.whp;

import com.sun.jna.Memory;
import io.membacking.partition.CpuModel;
import io.membacking.partition.CpuModel.Leaf;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/**
 * A processor model asked for, as far as the platform takes one: what differs from its own. Windows 11 takes each leaf and index;
 * earlier versions take leaves without an index, and the same for all processors of a partition.
 */
final class CpuidLists {
    private static final int FEATURES = 1;
    private static final int APIC_ID = 0xff000000;

    /** OSXSAVE in leaf 1: it follows CR4. */
    private static final int OSXSAVE = 1 << 27;

    private CpuidLists() {}

    /**
     * Before the partition is set up.
     *
     * @param own what the platform shows by itself
     * @return what the guest will see
     */
    static CpuModel set(WhpCalls calls, long partition, CpuModel wanted, CpuModel own, int processors) {
        List<Leaf> different = new ArrayList<>();
        for (Leaf leaf : wanted.leaves()) {
            Optional<Leaf> has = own.leaf(leaf.function(), leaf.index());
            if (has.isEmpty() || !isSame(leaf, has.get())) {
                different.add(leaf);
            }
        }
        if (different.isEmpty() || setAll(calls, partition, different)) {
            return wanted;
        }
        different.removeIf(leaf -> leaf.indexed()
                || ProcessorProbe.isIndexed(leaf.function())
                || (leaf.function() == FEATURES && processors > 1));
        boolean taken = !different.isEmpty() && setUnindexed(calls, partition, different);
        List<Leaf> seen = new ArrayList<>();
        for (Leaf leaf : wanted.leaves()) {
            if (taken && different.contains(leaf)) {
                seen.add(leaf);
            } else {
                own.leaf(leaf.function(), leaf.index()).ifPresent(seen::add);
            }
        }
        return new CpuModel(seen);
    }

    private static boolean isSame(Leaf a, Leaf b) {
        boolean features = a.function() == FEATURES;
        return a.eax() == b.eax()
                && a.edx() == b.edx()
                && (features ? ((a.ebx() ^ b.ebx()) & ~APIC_ID) == 0 : a.ebx() == b.ebx())
                && (features ? ((a.ecx() ^ b.ecx()) & ~OSXSAVE) == 0 : a.ecx() == b.ecx());
    }

    private static boolean setAll(WhpCalls calls, long partition, List<Leaf> leaves) {
        int size = leaves.size() * WhpAbi.CPUID_RESULT_2_SIZE;
        try (Memory list = new Memory(size)) {
            list.clear();
            long at = 0;
            for (Leaf leaf : leaves) {
                list.setInt(at + WhpAbi.CPUID_RESULT_2_FUNCTION, leaf.function());
                list.setInt(at + WhpAbi.CPUID_RESULT_2_INDEX, leaf.index());
                list.setInt(
                        at + WhpAbi.CPUID_RESULT_2_FLAGS, leaf.indexed() ? WhpAbi.CPUID_RESULT_2_SUBLEAF_SPECIFIC : 0);
                int[] output = {leaf.eax(), leaf.ebx(), leaf.ecx(), leaf.edx()};
                int[] mask = {-1, leaf.function() == FEATURES ? ~APIC_ID : -1, -1, -1};
                list.write(at + WhpAbi.CPUID_RESULT_2_OUTPUT, output, 0, output.length);
                list.write(at + WhpAbi.CPUID_RESULT_2_MASK, mask, 0, mask.length);
                at += WhpAbi.CPUID_RESULT_2_SIZE;
            }
            return calls.setPartitionProperty(partition, WhpAbi.PROPERTY_CPUID_RESULT_LIST_2, list, size) >= 0;
        }
    }

    private static boolean setUnindexed(WhpCalls calls, long partition, List<Leaf> leaves) {
        int size = leaves.size() * WhpAbi.CPUID_RESULT_SIZE;
        try (Memory list = new Memory(size)) {
            list.clear();
            long at = 0;
            for (Leaf leaf : leaves) {
                list.setInt(at + WhpAbi.CPUID_RESULT_FUNCTION, leaf.function());
                list.setInt(at + WhpAbi.CPUID_RESULT_EAX, leaf.eax());
                list.setInt(at + WhpAbi.CPUID_RESULT_EBX, leaf.ebx());
                list.setInt(at + WhpAbi.CPUID_RESULT_ECX, leaf.ecx());
                list.setInt(at + WhpAbi.CPUID_RESULT_EDX, leaf.edx());
                at += WhpAbi.CPUID_RESULT_SIZE;
            }
            return calls.setPartitionProperty(partition, WhpAbi.PROPERTY_CPUID_RESULT_LIST, list, size) >= 0;
        }
    }
}
