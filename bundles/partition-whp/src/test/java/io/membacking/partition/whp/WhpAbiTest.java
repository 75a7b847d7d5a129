package io.membacking.partition.whp;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.Map;
import org.junit.jupiter.api.Test;

/** This backend's numbers against those that a compiler makes of the Windows headers. */
class WhpAbiTest {
    private static final Path COMPILED = Path.of("../../native/whp-shim/abi.txt");

    private final Map<String, Long> compiled = new HashMap<>();

    WhpAbiTest() throws IOException {
        for (String line : Files.readAllLines(COMPILED)) {
            String[] words = line.trim().split(" ", -1);
            if (words.length == 3) {
                compiled.put(words[0] + " " + words[1], number(words[2]));
            }
        }
    }

    private static long number(String text) {
        return text.startsWith("0x") ? Long.parseUnsignedLong(text.substring(2), 16) : Long.parseLong(text);
    }

    private void size(String structure, long expected) {
        is("size " + structure, expected);
    }

    private void offset(String field, long expected) {
        is("offset " + field, expected);
    }

    private void value(String name, long expected) {
        is("value " + name, expected & 0xffffffffL);
    }

    private void bits(String field, long expected) {
        is("bits " + field, expected);
    }

    private void is(String line, long expected) {
        Long found = compiled.get(line);
        assertTrue(found != null, () -> "not in the compiled numbers: " + line);
        assertEquals(found.longValue(), expected, line);
    }

    @Test
    void theExitContextIsLaidOutAsTheCompilerDoes() {
        size("WHV_RUN_VP_EXIT_CONTEXT", WhpAbi.EXIT_CONTEXT_SIZE);
        offset("WHV_RUN_VP_EXIT_CONTEXT.ExitReason", WhpAbi.EXIT_REASON);
        long vp = compiled.get("offset WHV_RUN_VP_EXIT_CONTEXT.VpContext");
        offset("WHV_VP_EXIT_CONTEXT.ExecutionState", WhpAbi.EXIT_EXECUTION_STATE - vp);
        offset("WHV_RUN_VP_EXIT_CONTEXT.MemoryAccess", WhpAbi.EXIT_UNION);
        offset("WHV_RUN_VP_EXIT_CONTEXT.IoPortAccess", WhpAbi.EXIT_UNION);
        offset("WHV_RUN_VP_EXIT_CONTEXT.UnsupportedFeature", WhpAbi.EXIT_UNION);
        long union = WhpAbi.EXIT_UNION;
        offset("WHV_MEMORY_ACCESS_CONTEXT.InstructionByteCount", WhpAbi.MEMORY_BYTE_COUNT - union);
        offset("WHV_MEMORY_ACCESS_CONTEXT.InstructionBytes", WhpAbi.MEMORY_BYTES - union);
        offset("WHV_MEMORY_ACCESS_CONTEXT.AccessInfo", WhpAbi.MEMORY_ACCESS_INFO - union);
        offset("WHV_MEMORY_ACCESS_CONTEXT.Gpa", WhpAbi.MEMORY_GPA - union);
        offset("WHV_X64_IO_PORT_ACCESS_CONTEXT.InstructionByteCount", WhpAbi.PORT_BYTE_COUNT - union);
        offset("WHV_X64_IO_PORT_ACCESS_CONTEXT.InstructionBytes", WhpAbi.PORT_BYTES - union);
        offset("WHV_X64_UNSUPPORTED_FEATURE_CONTEXT.FeatureCode", WhpAbi.UNSUPPORTED_CODE - union);
        offset("WHV_X64_UNSUPPORTED_FEATURE_CONTEXT.FeatureParameter", WhpAbi.UNSUPPORTED_PARAMETER - union);
        bits("WHV_MEMORY_ACCESS_INFO.AccessType", WhpAbi.INFO_TYPE_MASK);
        bits("WHV_MEMORY_ACCESS_INFO.GpaUnmapped", WhpAbi.INFO_GPA_UNMAPPED);
        bits("WHV_X64_VP_EXECUTION_STATE.InterruptShadow", WhpAbi.STATE_INTERRUPT_SHADOW);
    }

    @Test
    void callsTakeTheNumbersOfTheHeaders() {
        value("WHvCapabilityCodeHypervisorPresent", WhpAbi.CAPABILITY_HYPERVISOR_PRESENT);
        value("WHvCapabilityCodeFeatures", WhpAbi.CAPABILITY_FEATURES);
        size("WHV_CAPABILITY", WhpAbi.CAPABILITY_SIZE);
        bits("WHV_CAPABILITY_FEATURES.PartialUnmap", WhpAbi.FEATURE_PARTIAL_UNMAP);
        bits("WHV_CAPABILITY_FEATURES.Xsave", WhpAbi.FEATURE_XSAVE);
        bits("WHV_CAPABILITY_FEATURES.DirtyPageTracking", WhpAbi.FEATURE_DIRTY_PAGE_TRACKING);
        value("WHvPartitionPropertyCodeCpuidResultList", WhpAbi.PROPERTY_CPUID_RESULT_LIST);
        value("WHvPartitionPropertyCodeCpuidResultList2", WhpAbi.PROPERTY_CPUID_RESULT_LIST_2);
        value("WHvPartitionPropertyCodeProcessorCount", WhpAbi.PROPERTY_PROCESSOR_COUNT);
        size("WHV_X64_CPUID_RESULT", WhpAbi.CPUID_RESULT_SIZE);
        offset("WHV_X64_CPUID_RESULT.Function", WhpAbi.CPUID_RESULT_FUNCTION);
        offset("WHV_X64_CPUID_RESULT.Eax", WhpAbi.CPUID_RESULT_EAX);
        offset("WHV_X64_CPUID_RESULT.Ebx", WhpAbi.CPUID_RESULT_EBX);
        offset("WHV_X64_CPUID_RESULT.Ecx", WhpAbi.CPUID_RESULT_ECX);
        offset("WHV_X64_CPUID_RESULT.Edx", WhpAbi.CPUID_RESULT_EDX);
        size("WHV_X64_CPUID_RESULT2", WhpAbi.CPUID_RESULT_2_SIZE);
        offset("WHV_X64_CPUID_RESULT2.Function", WhpAbi.CPUID_RESULT_2_FUNCTION);
        offset("WHV_X64_CPUID_RESULT2.Index", WhpAbi.CPUID_RESULT_2_INDEX);
        offset("WHV_X64_CPUID_RESULT2.Flags", WhpAbi.CPUID_RESULT_2_FLAGS);
        offset("WHV_X64_CPUID_RESULT2.Output", WhpAbi.CPUID_RESULT_2_OUTPUT);
        offset("WHV_X64_CPUID_RESULT2.Mask", WhpAbi.CPUID_RESULT_2_MASK);
        value("WHvMapGpaRangeFlagRead", WhpAbi.MAP_READ);
        value("WHvMapGpaRangeFlagWrite", WhpAbi.MAP_WRITE);
        value("WHvMapGpaRangeFlagExecute", WhpAbi.MAP_EXECUTE);
        value("WHvMapGpaRangeFlagTrackDirtyPages", WhpAbi.MAP_TRACK_DIRTY_PAGES);
        value("WHvAdviseGpaRangeCodePopulate", WhpAbi.ADVISE_POPULATE);
        value("WHvAdviseGpaRangeCodePin", WhpAbi.ADVISE_PIN);
        value("WHvAdviseGpaRangeCodeUnpin", WhpAbi.ADVISE_UNPIN);
        size("WHV_MEMORY_RANGE_ENTRY", WhpAbi.RANGE_ENTRY_SIZE);
        offset("WHV_MEMORY_RANGE_ENTRY.GuestAddress", WhpAbi.RANGE_ENTRY_ADDRESS);
        offset("WHV_MEMORY_RANGE_ENTRY.SizeInBytes", WhpAbi.RANGE_ENTRY_BYTES);
        size("WHV_ADVISE_GPA_RANGE_POPULATE", WhpAbi.POPULATE_SIZE);
        size("WHV_TRANSLATE_GVA_RESULT", WhpAbi.TRANSLATE_GVA_RESULT_SIZE);
        value("WHvTranslateGvaFlagValidateRead", WhpAbi.TRANSLATE_VALIDATE_READ);
        value("WHvTranslateGvaFlagValidateWrite", WhpAbi.TRANSLATE_VALIDATE_WRITE);
        value("WHvTranslateGvaFlagSetPageTableBits", WhpAbi.TRANSLATE_SET_PAGE_TABLE_BITS);
        value("WHvRunVpExitReasonMemoryAccess", WhpAbi.EXIT_MEMORY_ACCESS);
        value("WHvRunVpExitReasonX64IoPortAccess", WhpAbi.EXIT_IO_PORT_ACCESS);
        value("WHvRunVpExitReasonUnrecoverableException", WhpAbi.EXIT_UNRECOVERABLE_EXCEPTION);
        value("WHvRunVpExitReasonInvalidVpRegisterValue", WhpAbi.EXIT_INVALID_REGISTER_VALUE);
        value("WHvRunVpExitReasonUnsupportedFeature", WhpAbi.EXIT_UNSUPPORTED_FEATURE);
        value("WHvRunVpExitReasonX64InterruptWindow", WhpAbi.EXIT_INTERRUPT_WINDOW);
        value("WHvRunVpExitReasonX64Halt", WhpAbi.EXIT_HALT);
        value("WHvRunVpExitReasonCanceled", WhpAbi.EXIT_CANCELED);
    }

    @Test
    void eventsHaveTheBitsOfTheHeaders() {
        String interruption = "WHV_X64_PENDING_INTERRUPTION_REGISTER.";
        bits(interruption + "InterruptionPending", WhpAbi.INTERRUPTION_PENDING);
        bits(interruption + "InterruptionType", (long) WhpAbi.INTERRUPTION_TYPE_MASK << WhpAbi.INTERRUPTION_TYPE_SHIFT);
        bits(interruption + "DeliverErrorCode", WhpAbi.INTERRUPTION_ERROR_CODE);
        bits(interruption + "InterruptionVector", 0xffffL << WhpAbi.INTERRUPTION_VECTOR_SHIFT);
        bits(interruption + "ErrorCode", 0xffffffffL << WhpAbi.INTERRUPTION_ERROR_CODE_SHIFT);
        String event = "WHV_X64_PENDING_EXCEPTION_EVENT.";
        bits(event + "EventPending", WhpAbi.EVENT_PENDING);
        bits(event + "EventType", (long) WhpAbi.EVENT_TYPE_MASK << WhpAbi.EVENT_TYPE_SHIFT);
        bits(event + "DeliverErrorCode", WhpAbi.EVENT_ERROR_CODE);
        bits(event + "Vector", 0xffffL << WhpAbi.EVENT_VECTOR_SHIFT);
        bits(event + "ErrorCode", 0xffffffffL << WhpAbi.EVENT_ERROR_CODE_SHIFT);
        bits("WHV_X64_INTERRUPT_STATE_REGISTER.InterruptShadow", WhpAbi.SHADOW);
        bits("WHV_X64_INTERRUPT_STATE_REGISTER.NmiMasked", WhpAbi.NMI_MASKED);
        bits("WHV_INTERNAL_ACTIVITY_REGISTER.StartupSuspend", WhpAbi.STARTUP_SUSPEND);
        bits("WHV_INTERNAL_ACTIVITY_REGISTER.HaltSuspend", WhpAbi.HALT_SUSPEND);
    }

    @Test
    void registersAndTheirValuesAreThoseOfTheHeaders() {
        size("WHV_REGISTER_VALUE", WhpAbi.REGISTER_VALUE_SIZE);
        offset("WHV_X64_SEGMENT_REGISTER.Base", WhpAbi.SEGMENT_BASE);
        offset("WHV_X64_SEGMENT_REGISTER.Limit", WhpAbi.SEGMENT_LIMIT);
        offset("WHV_X64_SEGMENT_REGISTER.Selector", WhpAbi.SEGMENT_SELECTOR);
        offset("WHV_X64_SEGMENT_REGISTER.Attributes", WhpAbi.SEGMENT_ATTRIBUTES);
        offset("WHV_X64_TABLE_REGISTER.Limit", WhpAbi.TABLE_LIMIT);
        offset("WHV_X64_TABLE_REGISTER.Base", WhpAbi.TABLE_BASE);
        Map<String, Integer> names = Map.ofEntries(
                Map.entry("Rax", WhpAbi.RAX),
                Map.entry("Rcx", WhpAbi.RCX),
                Map.entry("Rdx", WhpAbi.RDX),
                Map.entry("Rbx", WhpAbi.RBX),
                Map.entry("Rsp", WhpAbi.RSP),
                Map.entry("Rbp", WhpAbi.RBP),
                Map.entry("Rsi", WhpAbi.RSI),
                Map.entry("Rdi", WhpAbi.RDI),
                Map.entry("R8", WhpAbi.R8),
                Map.entry("R15", WhpAbi.R15),
                Map.entry("Rip", WhpAbi.RIP),
                Map.entry("Rflags", WhpAbi.RFLAGS),
                Map.entry("Es", WhpAbi.ES),
                Map.entry("Cs", WhpAbi.CS),
                Map.entry("Ss", WhpAbi.SS),
                Map.entry("Ds", WhpAbi.DS),
                Map.entry("Fs", WhpAbi.FS),
                Map.entry("Gs", WhpAbi.GS),
                Map.entry("Ldtr", WhpAbi.LDTR),
                Map.entry("Tr", WhpAbi.TR),
                Map.entry("Idtr", WhpAbi.IDTR),
                Map.entry("Gdtr", WhpAbi.GDTR),
                Map.entry("Cr0", WhpAbi.CR0),
                Map.entry("Cr2", WhpAbi.CR2),
                Map.entry("Cr3", WhpAbi.CR3),
                Map.entry("Cr4", WhpAbi.CR4),
                Map.entry("Cr8", WhpAbi.CR8),
                Map.entry("Dr0", WhpAbi.DR0),
                Map.entry("Dr7", WhpAbi.DR7),
                Map.entry("XCr0", WhpAbi.XCR0),
                Map.entry("Xmm0", WhpAbi.XMM0),
                Map.entry("Tsc", WhpAbi.TSC),
                Map.entry("Efer", WhpAbi.EFER),
                Map.entry("KernelGsBase", WhpAbi.KERNEL_GS_BASE),
                Map.entry("ApicBase", WhpAbi.APIC_BASE),
                Map.entry("Pat", WhpAbi.PAT),
                Map.entry("SysenterCs", WhpAbi.SYSENTER_CS),
                Map.entry("SysenterEip", WhpAbi.SYSENTER_EIP),
                Map.entry("SysenterEsp", WhpAbi.SYSENTER_ESP),
                Map.entry("Star", WhpAbi.STAR),
                Map.entry("Lstar", WhpAbi.LSTAR),
                Map.entry("Cstar", WhpAbi.CSTAR),
                Map.entry("Sfmask", WhpAbi.SFMASK),
                Map.entry("TscAux", WhpAbi.TSC_AUX),
                Map.entry("MsrMtrrDefType", WhpAbi.MTRR_DEF_TYPE),
                Map.entry("MsrMtrrPhysBase0", WhpAbi.MTRR_PHYS_BASE_0),
                Map.entry("MsrMtrrPhysMask0", WhpAbi.MTRR_PHYS_MASK_0),
                Map.entry("MsrMtrrFix64k00000", WhpAbi.MTRR_FIX_64K_00000),
                Map.entry("SpecCtrl", WhpAbi.SPEC_CTRL),
                Map.entry("TsxCtrl", WhpAbi.TSX_CTRL),
                Map.entry("Xss", WhpAbi.XSS),
                Map.entry("TscAdjust", WhpAbi.TSC_ADJUST),
                Map.entry("UmwaitControl", WhpAbi.UMWAIT_CONTROL),
                Map.entry("Xfd", WhpAbi.XFD),
                Map.entry("XfdErr", WhpAbi.XFD_ERR));
        names.forEach((name, number) -> value("WHvX64Register" + name, number));
        value("WHvRegisterPendingInterruption", WhpAbi.PENDING_INTERRUPTION);
        value("WHvRegisterInterruptState", WhpAbi.INTERRUPT_STATE);
        value("WHvRegisterPendingEvent", WhpAbi.PENDING_EVENT);
        value("WHvRegisterInternalActivityState", WhpAbi.INTERNAL_ACTIVITY_STATE);
    }

    @Test
    void surrogatesAreStartedWithTheNumbersOfTheHeaders() {
        size("STARTUPINFOEXW", Win32.STARTUP_INFO_SIZE);
        offset("STARTUPINFOEXW.lpAttributeList", Win32.ATTRIBUTE_LIST);
        size("PROCESS_INFORMATION", Win32.PROCESS_INFORMATION_SIZE);
        offset("PROCESS_INFORMATION.hProcess", Win32.PROCESS_HANDLE);
        offset("PROCESS_INFORMATION.hThread", Win32.THREAD_HANDLE);
        size("JOBOBJECT_EXTENDED_LIMIT_INFORMATION", Win32.EXTENDED_LIMITS_SIZE);
        offset("JOBOBJECT_EXTENDED_LIMIT_INFORMATION.BasicLimitInformation", 0);
        offset("JOBOBJECT_BASIC_LIMIT_INFORMATION.LimitFlags", Win32.LIMIT_FLAGS);
        value("JobObjectExtendedLimitInformation", Win32.EXTENDED_LIMITS);
        value("JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE", Win32.KILL_ON_JOB_CLOSE);
        value("CREATE_SUSPENDED", Win32.CREATE_SUSPENDED);
        value("CREATE_NO_WINDOW", Win32.CREATE_NO_WINDOW);
        value("EXTENDED_STARTUPINFO_PRESENT", Win32.EXTENDED_STARTUPINFO_PRESENT);
        value("PROC_THREAD_ATTRIBUTE_JOB_LIST", Win32.PROC_THREAD_ATTRIBUTE_JOB_LIST);
    }
}
