/*
 * Prints the sizes, offsets, constants and bits of the Windows structures and enumerations that this project counts on: built by mingw
 * from the Windows headers it makes abi.txt; built on Linux from whp.h, each of its lines must be in abi.txt.
 */
#ifdef _WIN32
#include <windows.h>
#include <winhvplatform.h>
#include <stdint.h>
#else
#include "whp.h"
#endif
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#define SIZE(type) printf("size %s %zu\n", #type, sizeof(type))
#define AT(type, field) printf("offset %s.%s %zu\n", #type, #field, offsetof(type, field))
#define IS(name) printf("value %s 0x%x\n", #name, (unsigned)(name))
/* The bits of a field, in the integer that lies over it. */
#define BITS(type, field) \
    do { \
        type bits; \
        unsigned long long value = 0; \
        memset(&bits, 0, sizeof bits); \
        bits.field = ~0; \
        memcpy(&value, &bits, sizeof bits < 8 ? sizeof bits : 8); \
        printf("bits %s.%s 0x%llx\n", #type, #field, value); \
    } while (0)

static void structures(void) {
    SIZE(WHV_RUN_VP_EXIT_CONTEXT);
    AT(WHV_RUN_VP_EXIT_CONTEXT, ExitReason);
    AT(WHV_RUN_VP_EXIT_CONTEXT, VpContext);
    AT(WHV_RUN_VP_EXIT_CONTEXT, MemoryAccess);
    AT(WHV_RUN_VP_EXIT_CONTEXT, IoPortAccess);
    AT(WHV_RUN_VP_EXIT_CONTEXT, MsrAccess);
    AT(WHV_RUN_VP_EXIT_CONTEXT, InterruptWindow);
    AT(WHV_RUN_VP_EXIT_CONTEXT, UnsupportedFeature);
    AT(WHV_RUN_VP_EXIT_CONTEXT, CancelReason);
    SIZE(WHV_VP_EXIT_CONTEXT);
    AT(WHV_VP_EXIT_CONTEXT, ExecutionState);
    AT(WHV_VP_EXIT_CONTEXT, Cs);
    AT(WHV_VP_EXIT_CONTEXT, Rip);
    AT(WHV_VP_EXIT_CONTEXT, Rflags);
    SIZE(WHV_MEMORY_ACCESS_CONTEXT);
    AT(WHV_MEMORY_ACCESS_CONTEXT, InstructionByteCount);
    AT(WHV_MEMORY_ACCESS_CONTEXT, InstructionBytes);
    AT(WHV_MEMORY_ACCESS_CONTEXT, AccessInfo);
    AT(WHV_MEMORY_ACCESS_CONTEXT, Gpa);
    AT(WHV_MEMORY_ACCESS_CONTEXT, Gva);
    SIZE(WHV_X64_IO_PORT_ACCESS_CONTEXT);
    AT(WHV_X64_IO_PORT_ACCESS_CONTEXT, InstructionByteCount);
    AT(WHV_X64_IO_PORT_ACCESS_CONTEXT, InstructionBytes);
    AT(WHV_X64_IO_PORT_ACCESS_CONTEXT, AccessInfo);
    AT(WHV_X64_IO_PORT_ACCESS_CONTEXT, PortNumber);
    AT(WHV_X64_IO_PORT_ACCESS_CONTEXT, Rax);
    AT(WHV_X64_IO_PORT_ACCESS_CONTEXT, Rcx);
    AT(WHV_X64_IO_PORT_ACCESS_CONTEXT, Rsi);
    AT(WHV_X64_IO_PORT_ACCESS_CONTEXT, Rdi);
    AT(WHV_X64_IO_PORT_ACCESS_CONTEXT, Ds);
    AT(WHV_X64_IO_PORT_ACCESS_CONTEXT, Es);
    SIZE(WHV_X64_MSR_ACCESS_CONTEXT);
    AT(WHV_X64_MSR_ACCESS_CONTEXT, AccessInfo);
    AT(WHV_X64_MSR_ACCESS_CONTEXT, MsrNumber);
    AT(WHV_X64_MSR_ACCESS_CONTEXT, Rax);
    AT(WHV_X64_MSR_ACCESS_CONTEXT, Rdx);
    SIZE(WHV_X64_UNSUPPORTED_FEATURE_CONTEXT);
    AT(WHV_X64_UNSUPPORTED_FEATURE_CONTEXT, FeatureCode);
    AT(WHV_X64_UNSUPPORTED_FEATURE_CONTEXT, FeatureParameter);
    SIZE(WHV_RUN_VP_CANCELED_CONTEXT);
    SIZE(WHV_X64_INTERRUPTION_DELIVERABLE_CONTEXT);
    SIZE(WHV_X64_SEGMENT_REGISTER);
    AT(WHV_X64_SEGMENT_REGISTER, Base);
    AT(WHV_X64_SEGMENT_REGISTER, Limit);
    AT(WHV_X64_SEGMENT_REGISTER, Selector);
    AT(WHV_X64_SEGMENT_REGISTER, Attributes);
    SIZE(WHV_X64_TABLE_REGISTER);
    AT(WHV_X64_TABLE_REGISTER, Limit);
    AT(WHV_X64_TABLE_REGISTER, Base);
    SIZE(WHV_REGISTER_NAME);
    SIZE(WHV_REGISTER_VALUE);
    SIZE(WHV_X64_FP_CONTROL_STATUS_REGISTER);
    AT(WHV_X64_FP_CONTROL_STATUS_REGISTER, FpStatus);
    AT(WHV_X64_FP_CONTROL_STATUS_REGISTER, FpTag);
    AT(WHV_X64_FP_CONTROL_STATUS_REGISTER, LastFpOp);
    AT(WHV_X64_FP_CONTROL_STATUS_REGISTER, LastFpRip);
    SIZE(WHV_X64_XMM_CONTROL_STATUS_REGISTER);
    AT(WHV_X64_XMM_CONTROL_STATUS_REGISTER, LastFpRdp);
    AT(WHV_X64_XMM_CONTROL_STATUS_REGISTER, XmmStatusControl);
    AT(WHV_X64_XMM_CONTROL_STATUS_REGISTER, XmmStatusControlMask);
    SIZE(WHV_TRANSLATE_GVA_RESULT);
    AT(WHV_TRANSLATE_GVA_RESULT, ResultCode);
    SIZE(WHV_MEMORY_RANGE_ENTRY);
    AT(WHV_MEMORY_RANGE_ENTRY, GuestAddress);
    AT(WHV_MEMORY_RANGE_ENTRY, SizeInBytes);
    SIZE(WHV_ADVISE_GPA_RANGE_POPULATE);
    AT(WHV_ADVISE_GPA_RANGE_POPULATE, Flags);
    AT(WHV_ADVISE_GPA_RANGE_POPULATE, AccessType);
    SIZE(WHV_CAPABILITY);
    SIZE(WHV_PARTITION_PROPERTY);
    SIZE(WHV_PARTITION_MEMORY_COUNTERS);
    AT(WHV_PARTITION_MEMORY_COUNTERS, Mapped4KPageCount);
    AT(WHV_PARTITION_MEMORY_COUNTERS, Mapped2MPageCount);
    AT(WHV_PARTITION_MEMORY_COUNTERS, Mapped1GPageCount);
    SIZE(WHV_X64_CPUID_RESULT);
    AT(WHV_X64_CPUID_RESULT, Function);
    AT(WHV_X64_CPUID_RESULT, Eax);
    AT(WHV_X64_CPUID_RESULT, Ebx);
    AT(WHV_X64_CPUID_RESULT, Ecx);
    AT(WHV_X64_CPUID_RESULT, Edx);
    SIZE(WHV_X64_CPUID_RESULT2);
    AT(WHV_X64_CPUID_RESULT2, Function);
    AT(WHV_X64_CPUID_RESULT2, Index);
    AT(WHV_X64_CPUID_RESULT2, VpIndex);
    AT(WHV_X64_CPUID_RESULT2, Flags);
    AT(WHV_X64_CPUID_RESULT2, Output);
    AT(WHV_X64_CPUID_RESULT2, Mask);
}

static void constants(void) {
    IS(WHvCapabilityCodeHypervisorPresent);
    IS(WHvCapabilityCodeFeatures);
    IS(WHvCapabilityCodeExtendedVmExits);
    IS(WHvCapabilityCodeExceptionExitBitmap);
    IS(WHvCapabilityCodeX64MsrExitBitmap);
    IS(WHvCapabilityCodeGpaRangePopulateFlags);
    IS(WHvCapabilityCodeProcessorVendor);
    IS(WHvCapabilityCodeProcessorFeatures);
    IS(WHvCapabilityCodeProcessorClFlushSize);
    IS(WHvCapabilityCodeProcessorXsaveFeatures);
    IS(WHvCapabilityCodeProcessorClockFrequency);
    IS(WHvCapabilityCodeInterruptClockFrequency);
    IS(WHvCapabilityCodeProcessorFeaturesBanks);
    IS(WHvPartitionPropertyCodeExtendedVmExits);
    IS(WHvPartitionPropertyCodeExceptionExitBitmap);
    IS(WHvPartitionPropertyCodeX64MsrExitBitmap);
    IS(WHvPartitionPropertyCodeProcessorFeatures);
    IS(WHvPartitionPropertyCodeCpuidExitList);
    IS(WHvPartitionPropertyCodeCpuidResultList);
    IS(WHvPartitionPropertyCodeCpuidResultList2);
    IS(WHvPartitionPropertyCodeLocalApicEmulationMode);
    IS(WHvPartitionPropertyCodeProcessorXsaveFeatures);
    IS(WHvPartitionPropertyCodeProcessorCount);
    IS(WHvX64CpuidResult2FlagSubleafSpecific);
    IS(WHvX64CpuidResult2FlagVpSpecific);
    IS(WHvX64LocalApicEmulationModeNone);
    IS(WHvX64LocalApicEmulationModeXApic);
    IS(WHvX64LocalApicEmulationModeX2Apic);
    IS(WHvMapGpaRangeFlagNone);
    IS(WHvMapGpaRangeFlagRead);
    IS(WHvMapGpaRangeFlagWrite);
    IS(WHvMapGpaRangeFlagExecute);
    IS(WHvMapGpaRangeFlagTrackDirtyPages);
    IS(WHvTranslateGvaFlagNone);
    IS(WHvTranslateGvaFlagValidateRead);
    IS(WHvTranslateGvaFlagValidateWrite);
    IS(WHvTranslateGvaFlagValidateExecute);
    IS(WHvTranslateGvaFlagPrivilegeExempt);
    IS(WHvTranslateGvaFlagSetPageTableBits);
    IS(WHvTranslateGvaResultSuccess);
    IS(WHvTranslateGvaResultPageNotPresent);
    IS(WHvTranslateGvaResultPrivilegeViolation);
    IS(WHvTranslateGvaResultInvalidPageTableFlags);
    IS(WHvTranslateGvaResultGpaUnmapped);
    IS(WHvTranslateGvaResultGpaNoReadAccess);
    IS(WHvTranslateGvaResultGpaNoWriteAccess);
    IS(WHvTranslateGvaResultGpaIllegalOverlayAccess);
    IS(WHvTranslateGvaResultIntercept);
    IS(WHvMemoryAccessRead);
    IS(WHvMemoryAccessWrite);
    IS(WHvMemoryAccessExecute);
    IS(WHvAdviseGpaRangeCodePopulate);
    IS(WHvAdviseGpaRangeCodePin);
    IS(WHvAdviseGpaRangeCodeUnpin);
    IS(WHvPartitionCounterSetMemory);
    IS(WHvVirtualProcessorStateTypeXsaveState);
    IS(WHvRunVpExitReasonNone);
    IS(WHvRunVpExitReasonMemoryAccess);
    IS(WHvRunVpExitReasonX64IoPortAccess);
    IS(WHvRunVpExitReasonUnrecoverableException);
    IS(WHvRunVpExitReasonInvalidVpRegisterValue);
    IS(WHvRunVpExitReasonUnsupportedFeature);
    IS(WHvRunVpExitReasonX64InterruptWindow);
    IS(WHvRunVpExitReasonX64Halt);
    IS(WHvRunVpExitReasonX64ApicEoi);
    IS(WHvRunVpExitReasonX64MsrAccess);
    IS(WHvRunVpExitReasonX64Cpuid);
    IS(WHvRunVpExitReasonException);
    IS(WHvRunVpExitReasonX64Rdtsc);
    IS(WHvRunVpExitReasonCanceled);
    IS(WHvUnsupportedFeatureIntercept);
    IS(WHvUnsupportedFeatureTaskSwitchTss);
    IS(WhvRunVpCancelReasonUser);
    IS(WHvX64PendingInterrupt);
    IS(WHvX64PendingNmi);
    IS(WHvX64PendingException);
    IS(WHvX64PendingEventException);
    IS(WHvX64PendingEventExtInt);
}

static void registers(void) {
    IS(WHvX64RegisterRax);
    IS(WHvX64RegisterRcx);
    IS(WHvX64RegisterRdx);
    IS(WHvX64RegisterRbx);
    IS(WHvX64RegisterRsp);
    IS(WHvX64RegisterRbp);
    IS(WHvX64RegisterRsi);
    IS(WHvX64RegisterRdi);
    IS(WHvX64RegisterR8);
    IS(WHvX64RegisterR9);
    IS(WHvX64RegisterR10);
    IS(WHvX64RegisterR11);
    IS(WHvX64RegisterR12);
    IS(WHvX64RegisterR13);
    IS(WHvX64RegisterR14);
    IS(WHvX64RegisterR15);
    IS(WHvX64RegisterRip);
    IS(WHvX64RegisterRflags);
    IS(WHvX64RegisterEs);
    IS(WHvX64RegisterCs);
    IS(WHvX64RegisterSs);
    IS(WHvX64RegisterDs);
    IS(WHvX64RegisterFs);
    IS(WHvX64RegisterGs);
    IS(WHvX64RegisterLdtr);
    IS(WHvX64RegisterTr);
    IS(WHvX64RegisterIdtr);
    IS(WHvX64RegisterGdtr);
    IS(WHvX64RegisterCr0);
    IS(WHvX64RegisterCr2);
    IS(WHvX64RegisterCr3);
    IS(WHvX64RegisterCr4);
    IS(WHvX64RegisterCr8);
    IS(WHvX64RegisterDr0);
    IS(WHvX64RegisterDr1);
    IS(WHvX64RegisterDr2);
    IS(WHvX64RegisterDr3);
    IS(WHvX64RegisterDr6);
    IS(WHvX64RegisterDr7);
    IS(WHvX64RegisterXCr0);
    IS(WHvX64RegisterXmm0);
    IS(WHvX64RegisterXmm15);
    IS(WHvX64RegisterFpMmx0);
    IS(WHvX64RegisterFpMmx7);
    IS(WHvX64RegisterFpControlStatus);
    IS(WHvX64RegisterXmmControlStatus);
    IS(WHvX64RegisterTsc);
    IS(WHvX64RegisterEfer);
    IS(WHvX64RegisterKernelGsBase);
    IS(WHvX64RegisterApicBase);
    IS(WHvX64RegisterPat);
    IS(WHvX64RegisterSysenterCs);
    IS(WHvX64RegisterSysenterEip);
    IS(WHvX64RegisterSysenterEsp);
    IS(WHvX64RegisterStar);
    IS(WHvX64RegisterLstar);
    IS(WHvX64RegisterCstar);
    IS(WHvX64RegisterSfmask);
    IS(WHvX64RegisterInitialApicId);
    IS(WHvX64RegisterMsrMtrrCap);
    IS(WHvX64RegisterMsrMtrrDefType);
    IS(WHvX64RegisterMsrMtrrPhysBase0);
    IS(WHvX64RegisterMsrMtrrPhysBaseF);
    IS(WHvX64RegisterMsrMtrrPhysMask0);
    IS(WHvX64RegisterMsrMtrrPhysMaskF);
    IS(WHvX64RegisterMsrMtrrFix64k00000);
    IS(WHvX64RegisterMsrMtrrFix16k80000);
    IS(WHvX64RegisterMsrMtrrFix16kA0000);
    IS(WHvX64RegisterMsrMtrrFix4kC0000);
    IS(WHvX64RegisterMsrMtrrFix4kF8000);
    IS(WHvX64RegisterTscAux);
    IS(WHvX64RegisterSpecCtrl);
    IS(WHvX64RegisterPredCmd);
    IS(WHvX64RegisterTsxCtrl);
    IS(WHvX64RegisterXss);
    IS(WHvX64RegisterTscDeadline);
    IS(WHvX64RegisterTscAdjust);
    IS(WHvX64RegisterUmwaitControl);
    IS(WHvX64RegisterXfd);
    IS(WHvX64RegisterXfdErr);
    IS(WHvRegisterPendingInterruption);
    IS(WHvRegisterInterruptState);
    IS(WHvRegisterPendingEvent);
    IS(WHvX64RegisterDeliverabilityNotifications);
    IS(WHvRegisterInternalActivityState);
}

#ifdef _WIN32
/* What whp.h has no bit fields for, and what the Windows memory calls take (the headers of mingw-w64 10 lack the placeholder flags). */
static void only_windows(void) {
    BITS(WHV_CAPABILITY_FEATURES, PartialUnmap);
    BITS(WHV_CAPABILITY_FEATURES, LocalApicEmulation);
    BITS(WHV_CAPABILITY_FEATURES, Xsave);
    BITS(WHV_CAPABILITY_FEATURES, DirtyPageTracking);
    BITS(WHV_EXTENDED_VM_EXITS, X64CpuidExit);
    BITS(WHV_EXTENDED_VM_EXITS, X64MsrExit);
    BITS(WHV_EXTENDED_VM_EXITS, ExceptionExit);
    BITS(WHV_EXTENDED_VM_EXITS, GpaAccessFaultExit);
    BITS(WHV_ADVISE_GPA_RANGE_POPULATE_FLAGS, Prefetch);
    BITS(WHV_ADVISE_GPA_RANGE_POPULATE_FLAGS, AvoidHardFaults);
    BITS(WHV_MEMORY_ACCESS_INFO, AccessType);
    BITS(WHV_MEMORY_ACCESS_INFO, GpaUnmapped);
    BITS(WHV_MEMORY_ACCESS_INFO, GvaValid);
    BITS(WHV_X64_IO_PORT_ACCESS_INFO, IsWrite);
    BITS(WHV_X64_IO_PORT_ACCESS_INFO, AccessSize);
    BITS(WHV_X64_IO_PORT_ACCESS_INFO, StringOp);
    BITS(WHV_X64_IO_PORT_ACCESS_INFO, RepPrefix);
    BITS(WHV_VP_EXIT_CONTEXT, ExecutionState.Cpl);
    BITS(WHV_VP_EXIT_CONTEXT, InstructionLength);
    BITS(WHV_VP_EXIT_CONTEXT, Cr8);
    BITS(WHV_X64_VP_EXECUTION_STATE, Cpl);
    BITS(WHV_X64_VP_EXECUTION_STATE, Cr0Pe);
    BITS(WHV_X64_VP_EXECUTION_STATE, Cr0Am);
    BITS(WHV_X64_VP_EXECUTION_STATE, EferLma);
    BITS(WHV_X64_VP_EXECUTION_STATE, DebugActive);
    BITS(WHV_X64_VP_EXECUTION_STATE, InterruptionPending);
    BITS(WHV_X64_VP_EXECUTION_STATE, InterruptShadow);
    BITS(WHV_X64_INTERRUPT_STATE_REGISTER, InterruptShadow);
    BITS(WHV_X64_INTERRUPT_STATE_REGISTER, NmiMasked);
    BITS(WHV_X64_PENDING_INTERRUPTION_REGISTER, InterruptionPending);
    BITS(WHV_X64_PENDING_INTERRUPTION_REGISTER, InterruptionType);
    BITS(WHV_X64_PENDING_INTERRUPTION_REGISTER, DeliverErrorCode);
    BITS(WHV_X64_PENDING_INTERRUPTION_REGISTER, InstructionLength);
    BITS(WHV_X64_PENDING_INTERRUPTION_REGISTER, NestedEvent);
    BITS(WHV_X64_PENDING_INTERRUPTION_REGISTER, InterruptionVector);
    BITS(WHV_X64_PENDING_INTERRUPTION_REGISTER, ErrorCode);
    BITS(WHV_X64_PENDING_EXCEPTION_EVENT, EventPending);
    BITS(WHV_X64_PENDING_EXCEPTION_EVENT, EventType);
    BITS(WHV_X64_PENDING_EXCEPTION_EVENT, DeliverErrorCode);
    BITS(WHV_X64_PENDING_EXCEPTION_EVENT, Vector);
    BITS(WHV_X64_PENDING_EXCEPTION_EVENT, ErrorCode);
    BITS(WHV_X64_PENDING_EXT_INT_EVENT, EventPending);
    BITS(WHV_X64_PENDING_EXT_INT_EVENT, EventType);
    BITS(WHV_X64_PENDING_EXT_INT_EVENT, Vector);
    BITS(WHV_X64_DELIVERABILITY_NOTIFICATIONS_REGISTER, NmiNotification);
    BITS(WHV_X64_DELIVERABILITY_NOTIFICATIONS_REGISTER, InterruptNotification);
    BITS(WHV_X64_DELIVERABILITY_NOTIFICATIONS_REGISTER, InterruptPriority);
    BITS(WHV_INTERNAL_ACTIVITY_REGISTER, StartupSuspend);
    BITS(WHV_INTERNAL_ACTIVITY_REGISTER, HaltSuspend);
    BITS(WHV_INTERNAL_ACTIVITY_REGISTER, IdleSuspend);
    SIZE(MEM_EXTENDED_PARAMETER);
    AT(MEM_EXTENDED_PARAMETER, Pointer);
    IS(MemExtendedParameterAddressRequirements);
    IS(MemExtendedParameterNumaNode);
    SIZE(MEM_ADDRESS_REQUIREMENTS);
    AT(MEM_ADDRESS_REQUIREMENTS, LowestStartingAddress);
    AT(MEM_ADDRESS_REQUIREMENTS, HighestEndingAddress);
    AT(MEM_ADDRESS_REQUIREMENTS, Alignment);
    SIZE(MEMORY_BASIC_INFORMATION);
    AT(MEMORY_BASIC_INFORMATION, BaseAddress);
    AT(MEMORY_BASIC_INFORMATION, AllocationBase);
    AT(MEMORY_BASIC_INFORMATION, RegionSize);
    AT(MEMORY_BASIC_INFORMATION, State);
    AT(MEMORY_BASIC_INFORMATION, Protect);
    AT(MEMORY_BASIC_INFORMATION, Type);
    SIZE(WIN32_MEMORY_RANGE_ENTRY);
    AT(WIN32_MEMORY_RANGE_ENTRY, VirtualAddress);
    AT(WIN32_MEMORY_RANGE_ENTRY, NumberOfBytes);
    SIZE(SYSTEM_INFO);
    AT(SYSTEM_INFO, dwPageSize);
    AT(SYSTEM_INFO, lpMaximumApplicationAddress);
    AT(SYSTEM_INFO, dwAllocationGranularity);
    SIZE(MEMORYSTATUSEX);
    AT(MEMORYSTATUSEX, ullTotalPhys);
    AT(MEMORYSTATUSEX, ullTotalPageFile);
    AT(MEMORYSTATUSEX, ullAvailPageFile);
    SIZE(LUID_AND_ATTRIBUTES);
    SIZE(STARTUPINFOW);
    AT(STARTUPINFOW, cb);
    SIZE(STARTUPINFOEXW);
    AT(STARTUPINFOEXW, lpAttributeList);
    SIZE(PROCESS_INFORMATION);
    AT(PROCESS_INFORMATION, hProcess);
    AT(PROCESS_INFORMATION, hThread);
    AT(PROCESS_INFORMATION, dwProcessId);
    SIZE(JOBOBJECT_BASIC_LIMIT_INFORMATION);
    AT(JOBOBJECT_BASIC_LIMIT_INFORMATION, LimitFlags);
    SIZE(JOBOBJECT_EXTENDED_LIMIT_INFORMATION);
    AT(JOBOBJECT_EXTENDED_LIMIT_INFORMATION, BasicLimitInformation);
    IS(JobObjectExtendedLimitInformation);
    IS(JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE);
    IS(CREATE_SUSPENDED);
    IS(CREATE_NO_WINDOW);
    IS(EXTENDED_STARTUPINFO_PRESENT);
    IS(PROC_THREAD_ATTRIBUTE_JOB_LIST);
    IS(PAGE_NOACCESS);
    IS(PAGE_READONLY);
    IS(PAGE_READWRITE);
    IS(MEM_COMMIT);
    IS(MEM_RESERVE);
    IS(MEM_LARGE_PAGES);
    IS(MEM_RELEASE);
    IS(MEM_FREE);
    IS(MEM_PRIVATE);
    IS(MEM_MAPPED);
    IS(SEC_FILE);
    IS(SEC_COMMIT);
    IS(SEC_LARGE_PAGES);
    IS(FILE_MAP_WRITE);
    IS(FILE_MAP_READ);
    IS(PROCESS_VM_OPERATION);
    IS(PROCESS_VM_READ);
    IS(PROCESS_VM_WRITE);
    IS(PROCESS_DUP_HANDLE);
    IS(PROCESS_TERMINATE);
    IS(DUPLICATE_SAME_ACCESS);
    IS(TOKEN_QUERY);
    IS(TOKEN_ADJUST_PRIVILEGES);
    IS(SE_PRIVILEGE_ENABLED);
}
#endif

int main(void) {
    structures();
    constants();
    registers();
#ifdef _WIN32
    only_windows();
#endif
    return 0;
}
