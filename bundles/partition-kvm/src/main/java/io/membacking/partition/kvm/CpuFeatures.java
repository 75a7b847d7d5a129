package io.membacking.partition.kvm;

import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Optional;

/**
 * The bits of CPUID that stand for features. KVM takes a model with features that it does not have, and the guest that uses them
 * meets with faults or worse; so such a model is refused.
 */
final class CpuFeatures {
    private static final List<String> REGISTERS = List.of("EAX", "EBX", "ECX", "EDX");

    /**
     * A register of CPUID whose every bit is a feature.
     *
     * @param register 0 to 3 for EAX to EDX
     * @param ignored bits that tell the guest's own doing (as OSXSAVE does), or are of no consequence
     * @param names of those bits that have one worth telling, from 0 on, separated by spaces
     */
    private record Word(int function, int index, int register, int ignored, String names) {}

    private static final int OSXSAVE = 1 << 27;
    private static final int HYPERVISOR = 1 << 31;
    private static final int OSPKE = 1 << 4;

    private static final List<Word> WORDS = List.of(
            new Word(
                    1,
                    0,
                    2,
                    OSXSAVE | HYPERVISOR,
                    "SSE3 PCLMULQDQ DTES64 MONITOR DS_CPL VMX SMX EIST TM2 SSSE3 CNXT_ID SDBG FMA CX16 XTPR PDCM - PCID DCA SSE4_1"
                            + " SSE4_2 X2APIC MOVBE POPCNT TSC_DEADLINE AES XSAVE OSXSAVE AVX F16C RDRAND"),
            new Word(
                    1,
                    0,
                    3,
                    0,
                    "FPU VME DE PSE TSC MSR PAE MCE CX8 APIC - SEP MTRR PGE MCA CMOV PAT PSE36 PSN CLFSH - DS ACPI MMX FXSR SSE"
                            + " SSE2 SS HTT TM - PBE"),
            new Word(
                    7,
                    0,
                    1,
                    0,
                    "FSGSBASE TSC_ADJUST SGX BMI1 HLE AVX2 FDP_EXCPTN_ONLY SMEP BMI2 ERMS INVPCID RTM PQM FCS_FDS MPX PQE AVX512F"
                            + " AVX512DQ RDSEED ADX SMAP AVX512_IFMA - CLFLUSHOPT CLWB PT AVX512PF AVX512ER AVX512CD SHA AVX512BW"
                            + " AVX512VL"),
            new Word(
                    7,
                    0,
                    2,
                    OSPKE,
                    "PREFETCHWT1 AVX512_VBMI UMIP PKU OSPKE WAITPKG AVX512_VBMI2 CET_SS GFNI VAES VPCLMULQDQ AVX512_VNNI"
                            + " AVX512_BITALG TME AVX512_VPOPCNTDQ - LA57"),
            new Word(7, 0, 3, 0, ""),
            new Word(7, 1, 0, 0, ""),
            new Word(7, 1, 1, 0, ""),
            new Word(7, 1, 3, 0, ""),
            new Word(7, 2, 3, 0, ""),
            new Word(0xd, 0, 0, 0, "X87 SSE AVX BNDREGS BNDCSR OPMASK ZMM_HI256 HI16_ZMM PT PKRU"),
            new Word(0xd, 0, 3, 0, ""),
            new Word(0xd, 1, 0, 0, "XSAVEOPT XSAVEC XGETBV_ECX1 XSAVES XFD"),
            new Word(
                    0x80000001,
                    0,
                    2,
                    0,
                    "LAHF_SAHF CMP_LEGACY SVM EXTAPIC CR8_LEGACY ABM SSE4A MISALIGNSSE 3DNOWPREFETCH OSVW IBS XOP SKINIT WDT - LWP"
                            + " FMA4 TCE"),
            new Word(
                    0x80000001,
                    0,
                    3,
                    0,
                    "FPU VME DE PSE TSC MSR PAE MCE CX8 APIC - SYSCALL MTRR PGE MCA CMOV PAT PSE36 - - NX - MMXEXT MMX FXSR"
                            + " FXSR_OPT PDPE1GB RDTSCP - LM 3DNOWEXT 3DNOW"),
            new Word(0x80000007, 0, 3, 0, ""),
            new Word(0x80000008, 0, 1, 0, ""));

    private CpuFeatures() {}

    /** What the model has and the host has not, by name; empty if there is nothing. */
    static List<String> lacking(CpuidTable model, CpuidTable host) {
        List<String> lacking = new ArrayList<>();
        for (Word word : WORDS) {
            int asked = value(model, word) & ~word.ignored();
            int missing = asked & ~value(host, word);
            for (int bit = 0; bit < Integer.SIZE; bit++) {
                if ((missing & 1 << bit) != 0) {
                    lacking.add(name(word, bit));
                }
            }
        }
        return lacking;
    }

    private static int value(CpuidTable table, Word word) {
        Optional<CpuidTable.Leaf> leaf = table.leaf(word.function(), word.index());
        if (leaf.isEmpty()) {
            return 0;
        }
        return switch (word.register()) {
            case 0 -> leaf.get().eax();
            case 1 -> leaf.get().ebx();
            case 2 -> leaf.get().ecx();
            default -> leaf.get().edx();
        };
    }

    private static String name(Word word, int bit) {
        String[] names = word.names().split(" ", -1);
        String place = String.format(
                Locale.ROOT,
                "CPUID 0x%x.%d %s bit %d",
                word.function(),
                word.index(),
                REGISTERS.get(word.register()),
                bit);
        return bit < names.length && names[bit].length() > 1 ? names[bit] + " (" + place + ")" : place;
    }
}
