/*
 * The part of WinHvPlatform's ABI that the shim implements, for systems without the Windows headers: names, numbers and layouts as
 * documented by Microsoft, and bit fields as plain integers. abi.c prints what it comes to, and abi.txt has what the headers of
 * mingw-w64 come to.
 */
#ifndef WHP_H
#define WHP_H

#include <stdint.h>

#ifdef SHIM_WINE
#define WINAPI __attribute__((ms_abi))
#else
#define WINAPI __attribute__((visibility("default")))
#endif

typedef int32_t HRESULT, WINBOOL;
typedef void VOID, *HANDLE, *WHV_PARTITION_HANDLE;
typedef uint8_t UINT8;
typedef uint16_t UINT16;
typedef uint32_t UINT32;
typedef uint64_t UINT64, WHV_GUEST_PHYSICAL_ADDRESS, WHV_GUEST_VIRTUAL_ADDRESS;

typedef enum {
    WHvCapabilityCodeHypervisorPresent = 0,
    WHvCapabilityCodeFeatures = 1,
    WHvCapabilityCodeExtendedVmExits = 2,
    WHvCapabilityCodeExceptionExitBitmap = 3,
    WHvCapabilityCodeX64MsrExitBitmap = 4,
    WHvCapabilityCodeGpaRangePopulateFlags = 5,
    WHvCapabilityCodeProcessorVendor = 0x1000,
    WHvCapabilityCodeProcessorFeatures = 0x1001,
    WHvCapabilityCodeProcessorClFlushSize = 0x1002,
    WHvCapabilityCodeProcessorXsaveFeatures = 0x1003,
    WHvCapabilityCodeProcessorClockFrequency = 0x1004,
    WHvCapabilityCodeInterruptClockFrequency = 0x1005,
    WHvCapabilityCodeProcessorFeaturesBanks = 0x1006
} WHV_CAPABILITY_CODE;
#define WHV_SHIM_PHYSICAL_ADDRESS_WIDTH 0x100a /* WHvCapabilityCodePhysicalAddressWidth; mingw-w64 10 lacks it */

typedef enum {
    WHvPartitionPropertyCodeExtendedVmExits = 1,
    WHvPartitionPropertyCodeExceptionExitBitmap = 2,
    WHvPartitionPropertyCodeSeparateSecurityDomain = 3,
    WHvPartitionPropertyCodeNestedVirtualization = 4,
    WHvPartitionPropertyCodeX64MsrExitBitmap = 5,
    WHvPartitionPropertyCodeProcessorFeatures = 0x1001,
    WHvPartitionPropertyCodeProcessorClFlushSize = 0x1002,
    WHvPartitionPropertyCodeCpuidExitList = 0x1003,
    WHvPartitionPropertyCodeCpuidResultList = 0x1004,
    WHvPartitionPropertyCodeLocalApicEmulationMode = 0x1005,
    WHvPartitionPropertyCodeProcessorXsaveFeatures = 0x1006,
    WHvPartitionPropertyCodeProcessorClockFrequency = 0x1007,
    WHvPartitionPropertyCodeProcessorFeaturesBanks = 0x100a,
    WHvPartitionPropertyCodeCpuidResultList2 = 0x100d,
    WHvPartitionPropertyCodeProcessorCount = 0x1fff
} WHV_PARTITION_PROPERTY_CODE;

typedef enum {
    WHvMapGpaRangeFlagNone = 0,
    WHvMapGpaRangeFlagRead = 1,
    WHvMapGpaRangeFlagWrite = 2,
    WHvMapGpaRangeFlagExecute = 4,
    WHvMapGpaRangeFlagTrackDirtyPages = 8
} WHV_MAP_GPA_RANGE_FLAGS;

typedef enum {
    WHvTranslateGvaFlagNone = 0,
    WHvTranslateGvaFlagValidateRead = 1,
    WHvTranslateGvaFlagValidateWrite = 2,
    WHvTranslateGvaFlagValidateExecute = 4,
    WHvTranslateGvaFlagPrivilegeExempt = 8,
    WHvTranslateGvaFlagSetPageTableBits = 0x10
} WHV_TRANSLATE_GVA_FLAGS;

typedef enum {
    WHvTranslateGvaResultSuccess = 0,
    WHvTranslateGvaResultPageNotPresent = 1,
    WHvTranslateGvaResultPrivilegeViolation = 2,
    WHvTranslateGvaResultInvalidPageTableFlags = 3,
    WHvTranslateGvaResultGpaUnmapped = 4,
    WHvTranslateGvaResultGpaNoReadAccess = 5,
    WHvTranslateGvaResultGpaNoWriteAccess = 6,
    WHvTranslateGvaResultGpaIllegalOverlayAccess = 7,
    WHvTranslateGvaResultIntercept = 8
} WHV_TRANSLATE_GVA_RESULT_CODE;

typedef enum { WHvMemoryAccessRead = 0, WHvMemoryAccessWrite = 1, WHvMemoryAccessExecute = 2 } WHV_MEMORY_ACCESS_TYPE;
typedef enum {
    WHvAdviseGpaRangeCodePopulate = 0,
    WHvAdviseGpaRangeCodePin = 1,
    WHvAdviseGpaRangeCodeUnpin = 2
} WHV_ADVISE_GPA_RANGE_CODE;
typedef enum { WHvPartitionCounterSetMemory = 0 } WHV_PARTITION_COUNTER_SET;
typedef enum { WHvVirtualProcessorStateTypeXsaveState = 0x1001 } WHV_VIRTUAL_PROCESSOR_STATE_TYPE;
typedef enum {
    WHvX64LocalApicEmulationModeNone = 0,
    WHvX64LocalApicEmulationModeXApic = 1,
    WHvX64LocalApicEmulationModeX2Apic = 2
} WHV_X64_LOCAL_APIC_EMULATION_MODE;
typedef enum { WHvX64PendingInterrupt = 0, WHvX64PendingNmi = 2, WHvX64PendingException = 3 } WHV_X64_PENDING_INTERRUPTION_TYPE;
typedef enum { WHvX64PendingEventException = 0, WHvX64PendingEventExtInt = 5 } WHV_X64_PENDING_EVENT_TYPE;
typedef enum { WHvUnsupportedFeatureIntercept = 1, WHvUnsupportedFeatureTaskSwitchTss = 2 } WHV_X64_UNSUPPORTED_FEATURE_CODE;
typedef enum { WhvRunVpCancelReasonUser = 0 } WHV_RUN_VP_CANCEL_REASON;

typedef enum {
    WHvRunVpExitReasonNone = 0,
    WHvRunVpExitReasonMemoryAccess = 1,
    WHvRunVpExitReasonX64IoPortAccess = 2,
    WHvRunVpExitReasonUnrecoverableException = 4,
    WHvRunVpExitReasonInvalidVpRegisterValue = 5,
    WHvRunVpExitReasonUnsupportedFeature = 6,
    WHvRunVpExitReasonX64InterruptWindow = 7,
    WHvRunVpExitReasonX64Halt = 8,
    WHvRunVpExitReasonX64ApicEoi = 9,
    WHvRunVpExitReasonX64MsrAccess = 0x1000,
    WHvRunVpExitReasonX64Cpuid = 0x1001,
    WHvRunVpExitReasonException = 0x1002,
    WHvRunVpExitReasonX64Rdtsc = 0x1003,
    WHvRunVpExitReasonCanceled = 0x2001
} WHV_RUN_VP_EXIT_REASON;

typedef enum {
    WHvX64RegisterRax = 0, WHvX64RegisterRcx, WHvX64RegisterRdx, WHvX64RegisterRbx, WHvX64RegisterRsp, WHvX64RegisterRbp,
    WHvX64RegisterRsi, WHvX64RegisterRdi, WHvX64RegisterR8, WHvX64RegisterR9, WHvX64RegisterR10, WHvX64RegisterR11,
    WHvX64RegisterR12, WHvX64RegisterR13, WHvX64RegisterR14, WHvX64RegisterR15, WHvX64RegisterRip, WHvX64RegisterRflags,
    WHvX64RegisterEs, WHvX64RegisterCs, WHvX64RegisterSs, WHvX64RegisterDs, WHvX64RegisterFs, WHvX64RegisterGs,
    WHvX64RegisterLdtr, WHvX64RegisterTr, WHvX64RegisterIdtr, WHvX64RegisterGdtr, WHvX64RegisterCr0, WHvX64RegisterCr2,
    WHvX64RegisterCr3, WHvX64RegisterCr4, WHvX64RegisterCr8, WHvX64RegisterDr0, WHvX64RegisterDr1, WHvX64RegisterDr2,
    WHvX64RegisterDr3, WHvX64RegisterDr6, WHvX64RegisterDr7, WHvX64RegisterXCr0,
    WHvX64RegisterXmm0 = 0x1000, WHvX64RegisterXmm15 = 0x100f,
    WHvX64RegisterFpMmx0 = 0x1010, WHvX64RegisterFpMmx7 = 0x1017,
    WHvX64RegisterFpControlStatus = 0x1018, WHvX64RegisterXmmControlStatus = 0x1019,
    WHvX64RegisterTsc = 0x2000, WHvX64RegisterEfer, WHvX64RegisterKernelGsBase, WHvX64RegisterApicBase, WHvX64RegisterPat,
    WHvX64RegisterSysenterCs, WHvX64RegisterSysenterEip, WHvX64RegisterSysenterEsp, WHvX64RegisterStar, WHvX64RegisterLstar,
    WHvX64RegisterCstar, WHvX64RegisterSfmask, WHvX64RegisterInitialApicId, WHvX64RegisterMsrMtrrCap,
    WHvX64RegisterMsrMtrrDefType,
    WHvX64RegisterMsrMtrrPhysBase0 = 0x2010, WHvX64RegisterMsrMtrrPhysBaseF = 0x201f,
    WHvX64RegisterMsrMtrrPhysMask0 = 0x2040, WHvX64RegisterMsrMtrrPhysMaskF = 0x204f,
    WHvX64RegisterMsrMtrrFix64k00000 = 0x2070, WHvX64RegisterMsrMtrrFix16k80000, WHvX64RegisterMsrMtrrFix16kA0000,
    WHvX64RegisterMsrMtrrFix4kC0000, WHvX64RegisterMsrMtrrFix4kC8000, WHvX64RegisterMsrMtrrFix4kD0000,
    WHvX64RegisterMsrMtrrFix4kD8000, WHvX64RegisterMsrMtrrFix4kE0000, WHvX64RegisterMsrMtrrFix4kE8000,
    WHvX64RegisterMsrMtrrFix4kF0000, WHvX64RegisterMsrMtrrFix4kF8000, WHvX64RegisterTscAux,
    WHvX64RegisterSpecCtrl = 0x2084, WHvX64RegisterPredCmd = 0x2085, WHvX64RegisterTsxCtrl = 0x2088, WHvX64RegisterXss = 0x208b,
    WHvX64RegisterTscDeadline = 0x2095, WHvX64RegisterTscAdjust = 0x2096, WHvX64RegisterUmwaitControl = 0x2098,
    WHvX64RegisterXfd = 0x2099, WHvX64RegisterXfdErr = 0x209a,
    WHvRegisterPendingInterruption = (int)0x80000000, WHvRegisterInterruptState = (int)0x80000001,
    WHvRegisterPendingEvent = (int)0x80000002, WHvX64RegisterDeliverabilityNotifications = (int)0x80000004,
    WHvRegisterInternalActivityState = (int)0x80000005
} WHV_REGISTER_NAME;

typedef struct __attribute__((aligned(16))) { UINT64 Low64, High64; } WHV_UINT128;
typedef struct { UINT64 Base; UINT32 Limit; UINT16 Selector, Attributes; } WHV_X64_SEGMENT_REGISTER;
typedef struct { UINT16 Pad[3], Limit; UINT64 Base; } WHV_X64_TABLE_REGISTER;
typedef union { struct { UINT64 Mantissa, SignAndExponent; }; WHV_UINT128 AsUINT128; } WHV_X64_FP_REGISTER;
typedef union {
    struct { UINT16 FpControl, FpStatus; UINT8 FpTag, Reserved; UINT16 LastFpOp; UINT64 LastFpRip; };
    WHV_UINT128 AsUINT128;
} WHV_X64_FP_CONTROL_STATUS_REGISTER;
typedef union {
    struct { UINT64 LastFpRdp; UINT32 XmmStatusControl, XmmStatusControlMask; };
    WHV_UINT128 AsUINT128;
} WHV_X64_XMM_CONTROL_STATUS_REGISTER;
typedef union {
    WHV_UINT128 Reg128;
    UINT64 Reg64;
    UINT32 Reg32;
    UINT16 Reg16;
    UINT8 Reg8;
    WHV_X64_FP_REGISTER Fp;
    WHV_X64_FP_CONTROL_STATUS_REGISTER FpControlStatus;
    WHV_X64_XMM_CONTROL_STATUS_REGISTER XmmControlStatus;
    WHV_X64_SEGMENT_REGISTER Segment;
    WHV_X64_TABLE_REGISTER Table;
} WHV_REGISTER_VALUE;

typedef union { UINT16 AsUINT16; } WHV_X64_VP_EXECUTION_STATE;
typedef struct {
    WHV_X64_VP_EXECUTION_STATE ExecutionState;
    UINT8 InstructionLength : 4, Cr8 : 4;
    UINT8 Reserved;
    UINT32 Reserved2;
    WHV_X64_SEGMENT_REGISTER Cs;
    UINT64 Rip, Rflags;
} WHV_VP_EXIT_CONTEXT;

typedef union { UINT32 AsUINT32; } WHV_MEMORY_ACCESS_INFO; /* access type:2, unmapped:1, gva valid:1 */
typedef struct {
    UINT8 InstructionByteCount, Reserved[3], InstructionBytes[16];
    WHV_MEMORY_ACCESS_INFO AccessInfo;
    UINT64 Gpa, Gva;
} WHV_MEMORY_ACCESS_CONTEXT;

typedef union { UINT32 AsUINT32; } WHV_X64_IO_PORT_ACCESS_INFO; /* write:1, size:3, string:1, rep:1 */
typedef struct {
    UINT8 InstructionByteCount, Reserved[3], InstructionBytes[16];
    WHV_X64_IO_PORT_ACCESS_INFO AccessInfo;
    UINT16 PortNumber, Reserved2[3];
    UINT64 Rax, Rcx, Rsi, Rdi;
    WHV_X64_SEGMENT_REGISTER Ds, Es;
} WHV_X64_IO_PORT_ACCESS_CONTEXT;

typedef struct { UINT32 AccessInfo, MsrNumber; UINT64 Rax, Rdx; } WHV_X64_MSR_ACCESS_CONTEXT;
typedef struct { WHV_X64_UNSUPPORTED_FEATURE_CODE FeatureCode; UINT32 Reserved; UINT64 FeatureParameter; } WHV_X64_UNSUPPORTED_FEATURE_CONTEXT;
typedef struct { WHV_RUN_VP_CANCEL_REASON CancelReason; } WHV_RUN_VP_CANCELED_CONTEXT;
typedef struct { WHV_X64_PENDING_INTERRUPTION_TYPE DeliverableType; } WHV_X64_INTERRUPTION_DELIVERABLE_CONTEXT;
typedef struct {
    WHV_RUN_VP_EXIT_REASON ExitReason;
    UINT32 Reserved;
    WHV_VP_EXIT_CONTEXT VpContext;
    union {
        WHV_MEMORY_ACCESS_CONTEXT MemoryAccess;
        WHV_X64_IO_PORT_ACCESS_CONTEXT IoPortAccess;
        WHV_X64_MSR_ACCESS_CONTEXT MsrAccess;
        WHV_X64_INTERRUPTION_DELIVERABLE_CONTEXT InterruptWindow;
        WHV_X64_UNSUPPORTED_FEATURE_CONTEXT UnsupportedFeature;
        WHV_RUN_VP_CANCELED_CONTEXT CancelReason;
        UINT8 Largest[176];
    };
} WHV_RUN_VP_EXIT_CONTEXT;

typedef struct { UINT32 Function, Reserved[3], Eax, Ebx, Ecx, Edx; } WHV_X64_CPUID_RESULT;
typedef enum { WHvX64CpuidResult2FlagSubleafSpecific = 1, WHvX64CpuidResult2FlagVpSpecific = 2 } WHV_X64_CPUID_RESULT2_FLAGS;
typedef struct { UINT32 Eax, Ebx, Ecx, Edx; } WHV_CPUID_OUTPUT;
typedef struct {
    UINT32 Function, Index, VpIndex;
    WHV_X64_CPUID_RESULT2_FLAGS Flags;
    WHV_CPUID_OUTPUT Output, Mask;
} WHV_X64_CPUID_RESULT2;
typedef union {
    UINT64 ExtendedVmExits;
    UINT32 ProcessorCount;
    WHV_X64_LOCAL_APIC_EMULATION_MODE LocalApicEmulationMode;
    UINT64 ExceptionExitBitmap;
    WHV_X64_CPUID_RESULT CpuidResultList[1];
    UINT8 Largest[48];
} WHV_PARTITION_PROPERTY;
typedef union {
    WINBOOL HypervisorPresent;
    union { UINT64 AsUINT64; } Features; /* partial unmap 0, local APIC 1, XSAVE 2, dirty page tracking 3 */
    union { UINT64 AsUINT64; } ExtendedVmExits;
    UINT8 ProcessorClFlushSize;
    UINT64 ProcessorClockFrequency;
    UINT64 Largest[3];
} WHV_CAPABILITY;
typedef struct { WHV_TRANSLATE_GVA_RESULT_CODE ResultCode; UINT32 Reserved; } WHV_TRANSLATE_GVA_RESULT;
typedef struct { UINT64 GuestAddress, SizeInBytes; } WHV_MEMORY_RANGE_ENTRY;
typedef union { UINT32 AsUINT32; } WHV_ADVISE_GPA_RANGE_POPULATE_FLAGS; /* prefetch:1, avoid hard faults:1 */
typedef struct { WHV_ADVISE_GPA_RANGE_POPULATE_FLAGS Flags; WHV_MEMORY_ACCESS_TYPE AccessType; } WHV_ADVISE_GPA_RANGE_POPULATE;
typedef struct { UINT64 Mapped4KPageCount, Mapped2MPageCount, Mapped1GPageCount; } WHV_PARTITION_MEMORY_COUNTERS;

HRESULT WINAPI WHvGetCapability(WHV_CAPABILITY_CODE, VOID *, UINT32, UINT32 *);
HRESULT WINAPI WHvCreatePartition(WHV_PARTITION_HANDLE *);
HRESULT WINAPI WHvSetupPartition(WHV_PARTITION_HANDLE);
HRESULT WINAPI WHvDeletePartition(WHV_PARTITION_HANDLE);
HRESULT WINAPI WHvGetPartitionProperty(WHV_PARTITION_HANDLE, WHV_PARTITION_PROPERTY_CODE, VOID *, UINT32, UINT32 *);
HRESULT WINAPI WHvSetPartitionProperty(WHV_PARTITION_HANDLE, WHV_PARTITION_PROPERTY_CODE, const VOID *, UINT32);
HRESULT WINAPI WHvGetPartitionCounters(WHV_PARTITION_HANDLE, WHV_PARTITION_COUNTER_SET, VOID *, UINT32, UINT32 *);
HRESULT WINAPI WHvMapGpaRange(WHV_PARTITION_HANDLE, VOID *, UINT64, UINT64, WHV_MAP_GPA_RANGE_FLAGS);
HRESULT WINAPI WHvMapGpaRange2(WHV_PARTITION_HANDLE, HANDLE, VOID *, UINT64, UINT64, WHV_MAP_GPA_RANGE_FLAGS);
HRESULT WINAPI WHvUnmapGpaRange(WHV_PARTITION_HANDLE, UINT64, UINT64);
HRESULT WINAPI WHvTranslateGva(WHV_PARTITION_HANDLE, UINT32, UINT64, WHV_TRANSLATE_GVA_FLAGS, WHV_TRANSLATE_GVA_RESULT *, UINT64 *);
HRESULT WINAPI WHvQueryGpaRangeDirtyBitmap(WHV_PARTITION_HANDLE, UINT64, UINT64, UINT64 *, UINT32);
HRESULT WINAPI WHvAdviseGpaRange(WHV_PARTITION_HANDLE, const WHV_MEMORY_RANGE_ENTRY *, UINT32, WHV_ADVISE_GPA_RANGE_CODE, const VOID *, UINT32);
HRESULT WINAPI WHvCreateVirtualProcessor(WHV_PARTITION_HANDLE, UINT32, UINT32);
HRESULT WINAPI WHvDeleteVirtualProcessor(WHV_PARTITION_HANDLE, UINT32);
HRESULT WINAPI WHvRunVirtualProcessor(WHV_PARTITION_HANDLE, UINT32, VOID *, UINT32);
HRESULT WINAPI WHvCancelRunVirtualProcessor(WHV_PARTITION_HANDLE, UINT32, UINT32);
HRESULT WINAPI WHvGetVirtualProcessorRegisters(WHV_PARTITION_HANDLE, UINT32, const WHV_REGISTER_NAME *, UINT32, WHV_REGISTER_VALUE *);
HRESULT WINAPI WHvSetVirtualProcessorRegisters(WHV_PARTITION_HANDLE, UINT32, const WHV_REGISTER_NAME *, UINT32, const WHV_REGISTER_VALUE *);
HRESULT WINAPI WHvGetVirtualProcessorXsaveState(WHV_PARTITION_HANDLE, UINT32, VOID *, UINT32, UINT32 *);
HRESULT WINAPI WHvSetVirtualProcessorXsaveState(WHV_PARTITION_HANDLE, UINT32, const VOID *, UINT32);
HRESULT WINAPI WHvGetVirtualProcessorState(WHV_PARTITION_HANDLE, UINT32, WHV_VIRTUAL_PROCESSOR_STATE_TYPE, VOID *, UINT32, UINT32 *);
HRESULT WINAPI WHvSetVirtualProcessorState(WHV_PARTITION_HANDLE, UINT32, WHV_VIRTUAL_PROCESSOR_STATE_TYPE, const VOID *, UINT32);

/* The shim's own: README.md says which names there are. */
HRESULT WINAPI WHvShimSet(const char *name, int value);
HRESULT WINAPI WHvShimFail(const char *function, int n, HRESULT result);
int64_t WINAPI WHvShimCount(const char *name);

#endif
