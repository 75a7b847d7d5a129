package io.membacking.partition.whp;

/**
 * Numbers and layouts of {@code WinHvPlatformDefs.h}, x64. Checked in tests against those that a compiler gives.
 *
 * @see <a href="https://learn.microsoft.com/virtualization/api/hypervisor-platform/hypervisor-platform">Windows Hypervisor Platform
 *     API Definitions</a>
 */
final class WhpAbi {
    private WhpAbi() {}

    // WHV_CAPABILITY_CODE and what the codes give.
    static final int CAPABILITY_HYPERVISOR_PRESENT = 0;
    static final int CAPABILITY_FEATURES = 1;
    static final int CAPABILITY_PHYSICAL_ADDRESS_WIDTH = 0x100a;
    static final int CAPABILITY_SIZE = 24;
    static final long FEATURE_PARTIAL_UNMAP = 1;
    static final long FEATURE_XSAVE = 1 << 2;
    static final long FEATURE_DIRTY_PAGE_TRACKING = 1 << 3;

    // WHV_PARTITION_PROPERTY_CODE.
    static final int PROPERTY_CPUID_RESULT_LIST = 0x1004;
    static final int PROPERTY_CPUID_RESULT_LIST_2 = 0x100d;
    static final int PROPERTY_PROCESSOR_COUNT = 0x1fff;

    // WHV_X64_CPUID_RESULT.
    static final int CPUID_RESULT_SIZE = 32;
    static final int CPUID_RESULT_FUNCTION = 0;
    static final int CPUID_RESULT_EAX = 16;
    static final int CPUID_RESULT_EBX = 20;
    static final int CPUID_RESULT_ECX = 24;
    static final int CPUID_RESULT_EDX = 28;

    // WHV_X64_CPUID_RESULT2.
    static final int CPUID_RESULT_2_SIZE = 48;
    static final int CPUID_RESULT_2_FUNCTION = 0;
    static final int CPUID_RESULT_2_INDEX = 4;
    static final int CPUID_RESULT_2_FLAGS = 12;
    static final int CPUID_RESULT_2_OUTPUT = 16;
    static final int CPUID_RESULT_2_MASK = 32;
    static final int CPUID_RESULT_2_SUBLEAF_SPECIFIC = 1;

    // WHV_MAP_GPA_RANGE_FLAGS.
    static final int MAP_READ = 1;
    static final int MAP_WRITE = 2;
    static final int MAP_EXECUTE = 4;
    static final int MAP_TRACK_DIRTY_PAGES = 8;

    // WHV_ADVISE_GPA_RANGE_CODE, WHV_MEMORY_RANGE_ENTRY, WHV_ADVISE_GPA_RANGE_POPULATE.
    static final int ADVISE_POPULATE = 0;
    static final int ADVISE_PIN = 1;
    static final int ADVISE_UNPIN = 2;
    static final int RANGE_ENTRY_SIZE = 16;
    static final int RANGE_ENTRY_ADDRESS = 0;
    static final int RANGE_ENTRY_BYTES = 8;
    static final int POPULATE_SIZE = 8;
    static final int POPULATE_FLAGS = 0;
    static final int POPULATE_ACCESS_TYPE = 4;

    // WHV_MEMORY_ACCESS_TYPE.
    static final int ACCESS_READ = 0;
    static final int ACCESS_WRITE = 1;
    static final int ACCESS_EXECUTE = 2;

    // WHV_TRANSLATE_GVA_FLAGS.
    static final int TRANSLATE_VALIDATE_READ = 1;
    static final int TRANSLATE_VALIDATE_WRITE = 2;
    static final int TRANSLATE_SET_PAGE_TABLE_BITS = 0x10;
    static final int TRANSLATE_GVA_RESULT_SIZE = 8;

    // WHV_RUN_VP_EXIT_REASON.
    static final int EXIT_NONE = 0;
    static final int EXIT_MEMORY_ACCESS = 1;
    static final int EXIT_IO_PORT_ACCESS = 2;
    static final int EXIT_UNRECOVERABLE_EXCEPTION = 4;
    static final int EXIT_INVALID_REGISTER_VALUE = 5;
    static final int EXIT_UNSUPPORTED_FEATURE = 6;
    static final int EXIT_INTERRUPT_WINDOW = 7;
    static final int EXIT_HALT = 8;
    static final int EXIT_CANCELED = 0x2001;

    // WHV_RUN_VP_EXIT_CONTEXT.
    static final int EXIT_CONTEXT_SIZE = 224;
    static final int EXIT_REASON = 0;
    /** Of the WHV_VP_EXIT_CONTEXT within. */
    static final int EXIT_EXECUTION_STATE = 8;

    static final int EXIT_RIP = 32;
    static final int EXIT_UNION = 48;
    static final int STATE_INTERRUPT_SHADOW = 1 << 12;

    // WHV_MEMORY_ACCESS_CONTEXT, from the start of the exit context.
    static final int MEMORY_BYTE_COUNT = EXIT_UNION;
    static final int MEMORY_BYTES = EXIT_UNION + 4;
    static final int MEMORY_ACCESS_INFO = EXIT_UNION + 20;
    static final int MEMORY_GPA = EXIT_UNION + 24;
    static final int INFO_TYPE_MASK = 3;
    static final int INFO_GPA_UNMAPPED = 1 << 2;
    static final int MOST_INSTRUCTION_BYTES = 16;

    // WHV_X64_IO_PORT_ACCESS_CONTEXT, from the start of the exit context.
    static final int PORT_BYTE_COUNT = EXIT_UNION;
    static final int PORT_BYTES = EXIT_UNION + 4;

    // WHV_X64_UNSUPPORTED_FEATURE_CONTEXT, from the start of the exit context.
    static final int UNSUPPORTED_CODE = EXIT_UNION;
    static final int UNSUPPORTED_PARAMETER = EXIT_UNION + 8;

    // WHV_REGISTER_VALUE and the forms of it.
    static final int REGISTER_VALUE_SIZE = 16;
    static final int SEGMENT_BASE = 0;
    static final int SEGMENT_LIMIT = 8;
    static final int SEGMENT_SELECTOR = 12;
    static final int SEGMENT_ATTRIBUTES = 14;
    static final int TABLE_LIMIT = 6;
    static final int TABLE_BASE = 8;

    // WHV_REGISTER_NAME.
    static final int RAX = 0;
    static final int RCX = 1;
    static final int RDX = 2;
    static final int RBX = 3;
    static final int RSP = 4;
    static final int RBP = 5;
    static final int RSI = 6;
    static final int RDI = 7;
    static final int R8 = 8;
    static final int R15 = 15;
    static final int RIP = 0x10;
    static final int RFLAGS = 0x11;
    static final int ES = 0x12;
    static final int CS = 0x13;
    static final int SS = 0x14;
    static final int DS = 0x15;
    static final int FS = 0x16;
    static final int GS = 0x17;
    static final int LDTR = 0x18;
    static final int TR = 0x19;
    static final int IDTR = 0x1a;
    static final int GDTR = 0x1b;
    static final int CR0 = 0x1c;
    static final int CR2 = 0x1d;
    static final int CR3 = 0x1e;
    static final int CR4 = 0x1f;
    static final int CR8 = 0x20;
    static final int DR0 = 0x21;
    static final int DR1 = 0x22;
    static final int DR2 = 0x23;
    static final int DR3 = 0x24;
    static final int DR6 = 0x25;
    static final int DR7 = 0x26;
    static final int XCR0 = 0x27;
    static final int XMM0 = 0x1000;
    static final int TSC = 0x2000;
    static final int EFER = 0x2001;
    static final int KERNEL_GS_BASE = 0x2002;
    static final int APIC_BASE = 0x2003;
    static final int PAT = 0x2004;
    static final int SYSENTER_CS = 0x2005;
    static final int SYSENTER_EIP = 0x2006;
    static final int SYSENTER_ESP = 0x2007;
    static final int STAR = 0x2008;
    static final int LSTAR = 0x2009;
    static final int CSTAR = 0x200a;
    static final int SFMASK = 0x200b;
    static final int MTRR_DEF_TYPE = 0x200e;
    static final int MTRR_PHYS_BASE_0 = 0x2010;
    static final int MTRR_PHYS_MASK_0 = 0x2040;
    static final int MTRR_FIX_64K_00000 = 0x2070;
    static final int TSC_AUX = 0x207b;
    static final int SPEC_CTRL = 0x2084;
    static final int TSX_CTRL = 0x2088;
    static final int XSS = 0x208b;
    static final int TSC_ADJUST = 0x2096;
    static final int UMWAIT_CONTROL = 0x2098;
    static final int XFD = 0x2099;
    static final int XFD_ERR = 0x209a;
    static final int PENDING_INTERRUPTION = 0x80000000;
    static final int INTERRUPT_STATE = 0x80000001;
    static final int PENDING_EVENT = 0x80000002;
    static final int INTERNAL_ACTIVITY_STATE = 0x80000005;

    // WHV_X64_PENDING_INTERRUPTION_REGISTER.
    static final long INTERRUPTION_PENDING = 1;
    static final int INTERRUPTION_TYPE_SHIFT = 1;
    static final int INTERRUPTION_TYPE_MASK = 7;
    static final int INTERRUPTION_EXTERNAL = 0;
    static final int INTERRUPTION_NMI = 2;
    static final int INTERRUPTION_EXCEPTION = 3;
    static final long INTERRUPTION_ERROR_CODE = 1 << 4;
    static final int INTERRUPTION_VECTOR_SHIFT = 16;
    static final int INTERRUPTION_ERROR_CODE_SHIFT = 32;

    // WHV_X64_INTERRUPT_STATE_REGISTER.
    static final long SHADOW = 1;
    static final long NMI_MASKED = 2;

    // WHV_X64_PENDING_EXCEPTION_EVENT; the parameter is the upper 8 bytes.
    static final long EVENT_PENDING = 1;
    static final int EVENT_TYPE_SHIFT = 1;
    static final int EVENT_TYPE_MASK = 7;
    static final int EVENT_EXCEPTION = 0;
    static final long EVENT_ERROR_CODE = 1 << 8;
    static final int EVENT_VECTOR_SHIFT = 16;
    static final int EVENT_ERROR_CODE_SHIFT = 32;

    // WHV_INTERNAL_ACTIVITY_REGISTER.
    static final long STARTUP_SUSPEND = 1;
    static final long HALT_SUSPEND = 2;
}
