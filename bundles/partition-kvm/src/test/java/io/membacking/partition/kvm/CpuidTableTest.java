package io.membacking.partition.kvm;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.List;
import org.junit.jupiter.api.Test;

/** What of an answer of KVM's reaches a guest; every bit that could be there is in the answer. */
class CpuidTableTest {
    private static final CpuidTable ALL = new CpuidTable(List.of(leaf(1), leaf(0x40000001), leaf(0x80000001), leaf(7)));

    private static CpuidTable.Leaf leaf(int function) {
        return new CpuidTable.Leaf(function, 0, 0, -1, -1, -1, -1);
    }

    private static CpuidTable.Leaf only(CpuidTable table, int function) {
        return table.leaf(function, 0).orElseThrow();
    }

    @Test
    void nestedVirtualizationIsNotOffered() {
        for (boolean controllers : new boolean[] {false, true}) {
            CpuidTable table = ALL.forPartition(controllers, true, 1);
            assertEquals(0, only(table, 1).ecx() & 1 << 5, "VMX");
            assertEquals(0, only(table, 0x80000001).ecx() & 1 << 2, "SVM");
        }
    }

    @Test
    void withoutInterruptControllersNothingThatNeedsAnApicIsOffered() {
        CpuidTable table = ALL.forPartition(false, true, 1);
        assertEquals(~(1 << 5 | 1 << 21 | 1 << 24), only(table, 1).ecx());
        assertEquals(~(1 << 9), only(table, 1).edx());
        assertEquals(
                ~(1 << 4 | 1 << 6 | 1 << 7 | 1 << 10 | 1 << 11 | 1 << 13 | 1 << 14),
                only(table, 0x40000001).eax());
        assertEquals(~(1 << 9), only(table, 0x80000001).edx());
        assertEquals(~(1 << 2 | 1 << 3), only(table, 0x80000001).ecx());
        assertEquals(leaf(7), only(table, 7));
    }

    @Test
    void withInterruptControllersAllOfTheApicsFeaturesAreOffered() {
        CpuidTable table = ALL.forPartition(true, false, 1);
        assertEquals(~(1 << 5), only(table, 1).ecx());
        assertEquals(-1, only(table, 1).edx());
        assertEquals(leaf(0x40000001), only(table, 0x40000001));
        assertEquals(-1, only(table, 0x80000001).edx());
    }

    /** And not how many the host has. */
    @Test
    void theNumberOfLogicalProcessorsIsThePartitions() {
        assertEquals(0xff04ffff, only(ALL.forPartition(true, true, 4), 1).ebx());
        assertEquals(0xffffffff, only(ALL.forPartition(true, true, 4096), 1).ebx(), "it has eight bits");
    }
}
