package io.membacking.partition.kvm;

import java.lang.annotation.ElementType;
import java.lang.annotation.Retention;
import java.lang.annotation.RetentionPolicy;
import java.lang.annotation.Target;

/**
 * Numbers of {@code <linux/kvm.h>} for 64-bit hosts: requests, sizes, offsets, flags. Each carries the C expression it stands for,
 * and a test has the compiler confirm them.
 */
final class KvmAbi {
    /** The C expression that a constant stands for. */
    @Retention(RetentionPolicy.RUNTIME)
    @Target(ElementType.FIELD)
    @interface C {
        String value();

        /** The macro without which a header is too old to know the expression. */
        String ifdef() default "KVM_API_VERSION";
    }

    // Sizes of structures, in bytes.
    @C("sizeof(struct kvm_userspace_memory_region)")
    static final int MEMORY_REGION_SIZE = 32;

    @C("sizeof(struct kvm_irq_level)")
    static final int IRQ_LEVEL_SIZE = 8;

    @C("sizeof(struct kvm_pit_config)")
    static final int PIT_CONFIG_SIZE = 64;

    @C("sizeof(struct kvm_regs)")
    static final int REGS_SIZE = 144;

    @C("sizeof(struct kvm_sregs)")
    static final int SREGS_SIZE = 312;

    @C(value = "sizeof(struct kvm_sregs2)", ifdef = "KVM_GET_SREGS2")
    static final int SREGS2_SIZE = 320;

    @C("sizeof(struct kvm_msrs)")
    static final int MSRS_HEADER_SIZE = 8;

    @C("sizeof(struct kvm_msr_entry)")
    static final int MSR_ENTRY_SIZE = 16;

    @C("sizeof(struct kvm_cpuid2)")
    static final int CPUID2_HEADER_SIZE = 8;

    @C("sizeof(struct kvm_cpuid_entry2)")
    static final int CPUID_ENTRY_SIZE = 40;

    @C("sizeof(struct kvm_mp_state)")
    static final int MP_STATE_SIZE = 4;

    @C(value = "sizeof(struct kvm_pre_fault_memory)", ifdef = "KVM_PRE_FAULT_MEMORY")
    static final int PRE_FAULT_MEMORY_SIZE = 64;

    @C("sizeof(struct kvm_xcrs)")
    static final int XCRS_SIZE = 392;

    /** Without what follows it in {@code KVM_GET_XSAVE2}. */
    @C("sizeof(struct kvm_xsave)")
    static final int XSAVE_SIZE = 4096;

    @C("sizeof(struct kvm_vcpu_events)")
    static final int EVENTS_SIZE = 64;

    @C("sizeof(struct kvm_debugregs)")
    static final int DEBUGREGS_SIZE = 128;

    @C("sizeof(struct kvm_lapic_state)")
    static final int LAPIC_SIZE = 1024;

    @C("sizeof(struct kvm_irqchip)")
    static final int IRQCHIP_SIZE = 520;

    @C("sizeof(struct kvm_pit_state2)")
    static final int PIT_STATE2_SIZE = 112;

    @C("sizeof(struct kvm_clock_data)")
    static final int CLOCK_DATA_SIZE = 48;

    @C("sizeof(struct kvm_msr_list)")
    static final int MSR_LIST_HEADER_SIZE = 4;

    @C("sizeof(struct kvm_enable_cap)")
    static final int ENABLE_CAP_SIZE = 104;

    @C("sizeof(struct kvm_device_attr)")
    static final int DEVICE_ATTR_SIZE = 24;

    @C("sizeof(struct kvm_dirty_log)")
    static final int DIRTY_LOG_SIZE = 16;

    @C("sizeof(struct kvm_clear_dirty_log)")
    static final int CLEAR_DIRTY_LOG_SIZE = 24;

    // Requests.
    @C("KVM_GET_API_VERSION")
    static final long KVM_GET_API_VERSION = io(0x00);

    @C("KVM_CREATE_VM")
    static final long KVM_CREATE_VM = io(0x01);

    @C("KVM_CHECK_EXTENSION")
    static final long KVM_CHECK_EXTENSION = io(0x03);

    @C("KVM_GET_VCPU_MMAP_SIZE")
    static final long KVM_GET_VCPU_MMAP_SIZE = io(0x04);

    @C("KVM_GET_SUPPORTED_CPUID")
    static final long KVM_GET_SUPPORTED_CPUID = iowr(0x05, CPUID2_HEADER_SIZE);

    @C("KVM_CREATE_VCPU")
    static final long KVM_CREATE_VCPU = io(0x41);

    @C("KVM_SET_USER_MEMORY_REGION")
    static final long KVM_SET_USER_MEMORY_REGION = iow(0x46, MEMORY_REGION_SIZE);

    @C("KVM_SET_TSS_ADDR")
    static final long KVM_SET_TSS_ADDR = io(0x47);

    @C("KVM_SET_IDENTITY_MAP_ADDR")
    static final long KVM_SET_IDENTITY_MAP_ADDR = iow(0x48, Long.BYTES);

    @C("KVM_CREATE_IRQCHIP")
    static final long KVM_CREATE_IRQCHIP = io(0x60);

    @C("KVM_IRQ_LINE")
    static final long KVM_IRQ_LINE = iow(0x61, IRQ_LEVEL_SIZE);

    /** As KVM_IRQ_LINE; the status takes the place of the line's number. */
    @C("KVM_IRQ_LINE_STATUS")
    static final long KVM_IRQ_LINE_STATUS = iowr(0x67, IRQ_LEVEL_SIZE);

    @C("KVM_CREATE_PIT2")
    static final long KVM_CREATE_PIT2 = iow(0x77, PIT_CONFIG_SIZE);

    @C("KVM_RUN")
    static final long KVM_RUN = io(0x80);

    @C("KVM_GET_REGS")
    static final long KVM_GET_REGS = ior(0x81, REGS_SIZE);

    @C("KVM_SET_REGS")
    static final long KVM_SET_REGS = iow(0x82, REGS_SIZE);

    @C("KVM_GET_SREGS")
    static final long KVM_GET_SREGS = ior(0x83, SREGS_SIZE);

    @C("KVM_SET_SREGS")
    static final long KVM_SET_SREGS = iow(0x84, SREGS_SIZE);

    @C("KVM_GET_MSRS")
    static final long KVM_GET_MSRS = iowr(0x88, MSRS_HEADER_SIZE);

    @C("KVM_SET_MSRS")
    static final long KVM_SET_MSRS = iow(0x89, MSRS_HEADER_SIZE);

    @C("KVM_SET_CPUID2")
    static final long KVM_SET_CPUID2 = iow(0x90, CPUID2_HEADER_SIZE);

    @C("KVM_GET_MP_STATE")
    static final long KVM_GET_MP_STATE = ior(0x98, MP_STATE_SIZE);

    @C("KVM_SET_MP_STATE")
    static final long KVM_SET_MP_STATE = iow(0x99, MP_STATE_SIZE);

    @C(value = "KVM_GET_SREGS2", ifdef = "KVM_GET_SREGS2")
    static final long KVM_GET_SREGS2 = ior(0xcc, SREGS2_SIZE);

    @C(value = "KVM_SET_SREGS2", ifdef = "KVM_SET_SREGS2")
    static final long KVM_SET_SREGS2 = iow(0xcd, SREGS2_SIZE);

    @C(value = "KVM_PRE_FAULT_MEMORY", ifdef = "KVM_PRE_FAULT_MEMORY")
    static final long KVM_PRE_FAULT_MEMORY = iowr(0xd5, PRE_FAULT_MEMORY_SIZE);

    @C("KVM_GET_MSR_INDEX_LIST")
    static final long KVM_GET_MSR_INDEX_LIST = iowr(0x02, MSR_LIST_HEADER_SIZE);

    @C("KVM_GET_DIRTY_LOG")
    static final long KVM_GET_DIRTY_LOG = iow(0x42, DIRTY_LOG_SIZE);

    @C("KVM_GET_IRQCHIP")
    static final long KVM_GET_IRQCHIP = iowr(0x62, IRQCHIP_SIZE);

    @C("KVM_SET_IRQCHIP")
    static final long KVM_SET_IRQCHIP = ior(0x63, IRQCHIP_SIZE);

    @C("KVM_SET_CLOCK")
    static final long KVM_SET_CLOCK = iow(0x7b, CLOCK_DATA_SIZE);

    @C("KVM_KVMCLOCK_CTRL")
    static final long KVM_KVMCLOCK_CTRL = io(0xad);

    @C("KVM_GET_CLOCK")
    static final long KVM_GET_CLOCK = ior(0x7c, CLOCK_DATA_SIZE);

    @C("KVM_GET_LAPIC")
    static final long KVM_GET_LAPIC = ior(0x8e, LAPIC_SIZE);

    @C("KVM_SET_LAPIC")
    static final long KVM_SET_LAPIC = iow(0x8f, LAPIC_SIZE);

    @C("KVM_GET_VCPU_EVENTS")
    static final long KVM_GET_VCPU_EVENTS = ior(0x9f, EVENTS_SIZE);

    @C("KVM_SET_VCPU_EVENTS")
    static final long KVM_SET_VCPU_EVENTS = iow(0xa0, EVENTS_SIZE);

    @C("KVM_GET_PIT2")
    static final long KVM_GET_PIT2 = ior(0x9f, PIT_STATE2_SIZE);

    @C("KVM_SET_PIT2")
    static final long KVM_SET_PIT2 = iow(0xa0, PIT_STATE2_SIZE);

    @C("KVM_GET_DEBUGREGS")
    static final long KVM_GET_DEBUGREGS = ior(0xa1, DEBUGREGS_SIZE);

    @C("KVM_SET_DEBUGREGS")
    static final long KVM_SET_DEBUGREGS = iow(0xa2, DEBUGREGS_SIZE);

    @C("KVM_ENABLE_CAP")
    static final long KVM_ENABLE_CAP = iow(0xa3, ENABLE_CAP_SIZE);

    @C("KVM_GET_XSAVE")
    static final long KVM_GET_XSAVE = ior(0xa4, XSAVE_SIZE);

    @C("KVM_SET_XSAVE")
    static final long KVM_SET_XSAVE = iow(0xa5, XSAVE_SIZE);

    @C("KVM_GET_XCRS")
    static final long KVM_GET_XCRS = ior(0xa6, XCRS_SIZE);

    @C("KVM_SET_XCRS")
    static final long KVM_SET_XCRS = iow(0xa7, XCRS_SIZE);

    @C("KVM_CLEAR_DIRTY_LOG")
    static final long KVM_CLEAR_DIRTY_LOG = iowr(0xc0, CLEAR_DIRTY_LOG_SIZE);

    @C(value = "KVM_GET_XSAVE2", ifdef = "KVM_GET_XSAVE2")
    static final long KVM_GET_XSAVE2 = ior(0xcf, XSAVE_SIZE);

    @C("KVM_SET_DEVICE_ATTR")
    static final long KVM_SET_DEVICE_ATTR = iow(0xe1, DEVICE_ATTR_SIZE);

    @C("KVM_GET_DEVICE_ATTR")
    static final long KVM_GET_DEVICE_ATTR = iow(0xe2, DEVICE_ATTR_SIZE);

    @C("KVM_HAS_DEVICE_ATTR")
    static final long KVM_HAS_DEVICE_ATTR = iow(0xe3, DEVICE_ATTR_SIZE);

    /** The one version of the interface there has ever been since it became stable. */
    @C("KVM_API_VERSION")
    static final int KVM_API_VERSION = 12;

    // Extensions.
    @C("KVM_CAP_IRQCHIP")
    static final int KVM_CAP_IRQCHIP = 0;

    @C("KVM_CAP_USER_MEMORY")
    static final int KVM_CAP_USER_MEMORY = 3;

    @C("KVM_CAP_NR_VCPUS")
    static final int KVM_CAP_NR_VCPUS = 9;

    @C("KVM_CAP_NR_MEMSLOTS")
    static final int KVM_CAP_NR_MEMSLOTS = 10;

    @C("KVM_CAP_SYNC_MMU")
    static final int KVM_CAP_SYNC_MMU = 16;

    @C("KVM_CAP_PIT2")
    static final int KVM_CAP_PIT2 = 33;

    @C("KVM_CAP_MAX_VCPUS")
    static final int KVM_CAP_MAX_VCPUS = 66;

    @C("KVM_CAP_TSC_DEADLINE_TIMER")
    static final int KVM_CAP_TSC_DEADLINE_TIMER = 72;

    @C("KVM_CAP_READONLY_MEM")
    static final int KVM_CAP_READONLY_MEM = 81;

    @C("KVM_CAP_IMMEDIATE_EXIT")
    static final int KVM_CAP_IMMEDIATE_EXIT = 136;

    @C("KVM_CAP_ARM_VM_IPA_SIZE")
    static final int KVM_CAP_ARM_VM_IPA_SIZE = 165;

    @C("KVM_CAP_SREGS2")
    static final int KVM_CAP_SREGS2 = 200;

    @C(value = "KVM_CAP_PRE_FAULT_MEMORY", ifdef = "KVM_CAP_PRE_FAULT_MEMORY")
    static final int KVM_CAP_PRE_FAULT_MEMORY = 236;

    @C("KVM_CAP_XCRS")
    static final int KVM_CAP_XCRS = 56;

    @C("KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2")
    static final int KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2 = 168;

    @C("KVM_CAP_EXCEPTION_PAYLOAD")
    static final int KVM_CAP_EXCEPTION_PAYLOAD = 164;

    @C(value = "KVM_CAP_XSAVE2", ifdef = "KVM_CAP_XSAVE2")
    static final int KVM_CAP_XSAVE2 = 208;

    @C(value = "KVM_CAP_X86_TRIPLE_FAULT_EVENT", ifdef = "KVM_CAP_X86_TRIPLE_FAULT_EVENT")
    static final int KVM_CAP_X86_TRIPLE_FAULT_EVENT = 218;

    // struct kvm_userspace_memory_region
    @C("offsetof(struct kvm_userspace_memory_region, slot)")
    static final int REGION_SLOT = 0;

    @C("offsetof(struct kvm_userspace_memory_region, flags)")
    static final int REGION_FLAGS = 4;

    @C("offsetof(struct kvm_userspace_memory_region, guest_phys_addr)")
    static final int REGION_GPA = 8;

    @C("offsetof(struct kvm_userspace_memory_region, memory_size)")
    static final int REGION_BYTES = 16;

    @C("offsetof(struct kvm_userspace_memory_region, userspace_addr)")
    static final int REGION_HVA = 24;

    @C("KVM_MEM_LOG_DIRTY_PAGES")
    static final int KVM_MEM_LOG_DIRTY_PAGES = 1;

    @C("KVM_MEM_READONLY")
    static final int KVM_MEM_READONLY = 2;

    // struct kvm_irq_level, struct kvm_pit_config
    @C("offsetof(struct kvm_irq_level, irq)")
    static final int IRQ_LEVEL_IRQ = 0;

    @C("offsetof(struct kvm_irq_level, level)")
    static final int IRQ_LEVEL_LEVEL = 4;

    @C("KVM_IOAPIC_NUM_PINS")
    static final int KVM_IOAPIC_NUM_PINS = 24;

    @C("offsetof(struct kvm_pit_config, flags)")
    static final int PIT_FLAGS = 0;

    /** Port 0x61 goes with the timer: the gate and the output of its channel 2. */
    @C("KVM_PIT_SPEAKER_DUMMY")
    static final int KVM_PIT_SPEAKER_DUMMY = 1;

    // struct kvm_pre_fault_memory
    @C(value = "offsetof(struct kvm_pre_fault_memory, gpa)", ifdef = "KVM_PRE_FAULT_MEMORY")
    static final int PRE_FAULT_GPA = 0;

    @C(value = "offsetof(struct kvm_pre_fault_memory, size)", ifdef = "KVM_PRE_FAULT_MEMORY")
    static final int PRE_FAULT_BYTES = 8;

    // struct kvm_run
    @C("offsetof(struct kvm_run, immediate_exit)")
    static final int RUN_IMMEDIATE_EXIT = 1;

    @C("offsetof(struct kvm_run, exit_reason)")
    static final int RUN_EXIT_REASON = 8;

    @C("offsetof(struct kvm_run, cr8)")
    static final int RUN_CR8 = 16;

    @C("offsetof(struct kvm_run, fail_entry.hardware_entry_failure_reason)")
    static final int RUN_FAIL_ENTRY_REASON = 32;

    @C("offsetof(struct kvm_run, io.direction)")
    static final int RUN_IO_DIRECTION = 32;

    @C("offsetof(struct kvm_run, io.size)")
    static final int RUN_IO_SIZE = 33;

    @C("offsetof(struct kvm_run, io.port)")
    static final int RUN_IO_PORT = 34;

    @C("offsetof(struct kvm_run, io.count)")
    static final int RUN_IO_COUNT = 36;

    @C("offsetof(struct kvm_run, io.data_offset)")
    static final int RUN_IO_DATA_OFFSET = 40;

    @C("offsetof(struct kvm_run, mmio.phys_addr)")
    static final int RUN_MMIO_GPA = 32;

    @C("offsetof(struct kvm_run, mmio.data)")
    static final int RUN_MMIO_DATA = 40;

    @C("offsetof(struct kvm_run, mmio.len)")
    static final int RUN_MMIO_LENGTH = 48;

    @C("offsetof(struct kvm_run, mmio.is_write)")
    static final int RUN_MMIO_IS_WRITE = 52;

    @C("offsetof(struct kvm_run, internal.suberror)")
    static final int RUN_INTERNAL_SUBERROR = 32;

    @C("offsetof(struct kvm_run, emulation_failure.ndata)")
    static final int RUN_EMULATION_NDATA = 36;

    @C("offsetof(struct kvm_run, emulation_failure.flags)")
    static final int RUN_EMULATION_FLAGS = 40;

    @C("offsetof(struct kvm_run, emulation_failure.insn_size)")
    static final int RUN_EMULATION_INSN_SIZE = 48;

    @C("offsetof(struct kvm_run, emulation_failure.insn_bytes)")
    static final int RUN_EMULATION_INSN_BYTES = 49;

    @C("sizeof(((struct kvm_run *)0)->emulation_failure.insn_bytes)")
    static final int INSN_BYTES = 15;

    @C("offsetof(struct kvm_run, system_event.type)")
    static final int RUN_SYSTEM_EVENT_TYPE = 32;

    @C(value = "offsetof(struct kvm_run, memory_fault.gpa)", ifdef = "KVM_EXIT_MEMORY_FAULT")
    static final int RUN_MEMORY_FAULT_GPA = 40;

    @C("KVM_EXIT_UNKNOWN")
    static final int KVM_EXIT_UNKNOWN = 0;

    @C("KVM_EXIT_IO")
    static final int KVM_EXIT_IO = 2;

    @C("KVM_EXIT_HLT")
    static final int KVM_EXIT_HLT = 5;

    @C("KVM_EXIT_MMIO")
    static final int KVM_EXIT_MMIO = 6;

    @C("KVM_EXIT_SHUTDOWN")
    static final int KVM_EXIT_SHUTDOWN = 8;

    @C("KVM_EXIT_FAIL_ENTRY")
    static final int KVM_EXIT_FAIL_ENTRY = 9;

    @C("KVM_EXIT_INTR")
    static final int KVM_EXIT_INTR = 10;

    @C("KVM_EXIT_SET_TPR")
    static final int KVM_EXIT_SET_TPR = 11;

    @C("KVM_EXIT_INTERNAL_ERROR")
    static final int KVM_EXIT_INTERNAL_ERROR = 17;

    @C("KVM_EXIT_SYSTEM_EVENT")
    static final int KVM_EXIT_SYSTEM_EVENT = 24;

    @C(value = "KVM_EXIT_MEMORY_FAULT", ifdef = "KVM_EXIT_MEMORY_FAULT")
    static final int KVM_EXIT_MEMORY_FAULT = 39;

    @C("KVM_EXIT_IO_IN")
    static final int KVM_EXIT_IO_IN = 0;

    @C("KVM_INTERNAL_ERROR_EMULATION")
    static final int KVM_INTERNAL_ERROR_EMULATION = 1;

    @C("KVM_INTERNAL_ERROR_SIMUL_EX")
    static final int KVM_INTERNAL_ERROR_SIMUL_EX = 2;

    @C("KVM_INTERNAL_ERROR_DELIVERY_EV")
    static final int KVM_INTERNAL_ERROR_DELIVERY_EV = 3;

    @C("KVM_INTERNAL_ERROR_UNEXPECTED_EXIT_REASON")
    static final int KVM_INTERNAL_ERROR_UNEXPECTED_EXIT_REASON = 4;

    @C("KVM_INTERNAL_ERROR_EMULATION_FLAG_INSTRUCTION_BYTES")
    static final int KVM_INTERNAL_ERROR_EMULATION_FLAG_INSTRUCTION_BYTES = 1;

    @C("KVM_SYSTEM_EVENT_SHUTDOWN")
    static final int KVM_SYSTEM_EVENT_SHUTDOWN = 1;

    @C("KVM_SYSTEM_EVENT_RESET")
    static final int KVM_SYSTEM_EVENT_RESET = 2;

    @C("KVM_SYSTEM_EVENT_CRASH")
    static final int KVM_SYSTEM_EVENT_CRASH = 3;

    // struct kvm_regs
    @C("offsetof(struct kvm_regs, rax)")
    static final int REGS_RAX = 0;

    @C("offsetof(struct kvm_regs, rbx)")
    static final int REGS_RBX = 8;

    @C("offsetof(struct kvm_regs, rcx)")
    static final int REGS_RCX = 16;

    @C("offsetof(struct kvm_regs, rdx)")
    static final int REGS_RDX = 24;

    @C("offsetof(struct kvm_regs, rsi)")
    static final int REGS_RSI = 32;

    @C("offsetof(struct kvm_regs, rdi)")
    static final int REGS_RDI = 40;

    @C("offsetof(struct kvm_regs, rsp)")
    static final int REGS_RSP = 48;

    @C("offsetof(struct kvm_regs, rbp)")
    static final int REGS_RBP = 56;

    @C("offsetof(struct kvm_regs, r8)")
    static final int REGS_R8 = 64;

    @C("offsetof(struct kvm_regs, r15)")
    static final int REGS_R15 = 120;

    @C("offsetof(struct kvm_regs, rip)")
    static final int REGS_RIP = 128;

    @C("offsetof(struct kvm_regs, rflags)")
    static final int REGS_RFLAGS = 136;

    // struct kvm_sregs; struct kvm_sregs2 is the same up to apic_base
    @C("offsetof(struct kvm_sregs, cs)")
    static final int SREGS_CS = 0;

    @C("offsetof(struct kvm_sregs, ds)")
    static final int SREGS_DS = 24;

    @C("offsetof(struct kvm_sregs, es)")
    static final int SREGS_ES = 48;

    @C("offsetof(struct kvm_sregs, fs)")
    static final int SREGS_FS = 72;

    @C("offsetof(struct kvm_sregs, gs)")
    static final int SREGS_GS = 96;

    @C("offsetof(struct kvm_sregs, ss)")
    static final int SREGS_SS = 120;

    @C("offsetof(struct kvm_sregs, tr)")
    static final int SREGS_TR = 144;

    @C("offsetof(struct kvm_sregs, ldt)")
    static final int SREGS_LDT = 168;

    @C("offsetof(struct kvm_sregs, gdt)")
    static final int SREGS_GDT = 192;

    @C("offsetof(struct kvm_sregs, idt)")
    static final int SREGS_IDT = 208;

    @C("offsetof(struct kvm_sregs, cr0)")
    static final int SREGS_CR0 = 224;

    @C("offsetof(struct kvm_sregs, cr2)")
    static final int SREGS_CR2 = 232;

    @C("offsetof(struct kvm_sregs, cr3)")
    static final int SREGS_CR3 = 240;

    @C("offsetof(struct kvm_sregs, cr4)")
    static final int SREGS_CR4 = 248;

    @C("offsetof(struct kvm_sregs, cr8)")
    static final int SREGS_CR8 = 256;

    @C("offsetof(struct kvm_sregs, efer)")
    static final int SREGS_EFER = 264;

    @C("offsetof(struct kvm_sregs, apic_base)")
    static final int SREGS_APIC_BASE = 272;

    @C(value = "offsetof(struct kvm_sregs2, flags)", ifdef = "KVM_GET_SREGS2")
    static final int SREGS2_FLAGS = 280;

    // struct kvm_segment, struct kvm_dtable
    @C("offsetof(struct kvm_segment, base)")
    static final int SEGMENT_BASE = 0;

    @C("offsetof(struct kvm_segment, limit)")
    static final int SEGMENT_LIMIT = 8;

    @C("offsetof(struct kvm_segment, selector)")
    static final int SEGMENT_SELECTOR = 12;

    @C("offsetof(struct kvm_segment, type)")
    static final int SEGMENT_TYPE = 14;

    @C("offsetof(struct kvm_segment, present)")
    static final int SEGMENT_PRESENT = 15;

    @C("offsetof(struct kvm_segment, dpl)")
    static final int SEGMENT_DPL = 16;

    @C("offsetof(struct kvm_segment, db)")
    static final int SEGMENT_DB = 17;

    @C("offsetof(struct kvm_segment, s)")
    static final int SEGMENT_S = 18;

    @C("offsetof(struct kvm_segment, l)")
    static final int SEGMENT_L = 19;

    @C("offsetof(struct kvm_segment, g)")
    static final int SEGMENT_G = 20;

    @C("offsetof(struct kvm_segment, avl)")
    static final int SEGMENT_AVL = 21;

    @C("offsetof(struct kvm_segment, unusable)")
    static final int SEGMENT_UNUSABLE = 22;

    @C("offsetof(struct kvm_dtable, base)")
    static final int TABLE_BASE = 0;

    @C("offsetof(struct kvm_dtable, limit)")
    static final int TABLE_LIMIT = 8;

    // struct kvm_msrs, struct kvm_msr_entry, struct kvm_mp_state
    @C("offsetof(struct kvm_msrs, nmsrs)")
    static final int MSRS_COUNT = 0;

    @C("offsetof(struct kvm_msr_entry, index)")
    static final int MSR_INDEX = 0;

    @C("offsetof(struct kvm_msr_entry, data)")
    static final int MSR_DATA = 8;

    @C("KVM_MP_STATE_RUNNABLE")
    static final int KVM_MP_STATE_RUNNABLE = 0;

    @C("KVM_MP_STATE_HALTED")
    static final int KVM_MP_STATE_HALTED = 3;

    @C("KVM_MP_STATE_UNINITIALIZED")
    static final int KVM_MP_STATE_UNINITIALIZED = 1;

    @C("KVM_MP_STATE_INIT_RECEIVED")
    static final int KVM_MP_STATE_INIT_RECEIVED = 2;

    @C("KVM_MP_STATE_SIPI_RECEIVED")
    static final int KVM_MP_STATE_SIPI_RECEIVED = 4;

    // Structures of a processor's state.
    @C(value = "offsetof(struct kvm_sregs2, pdptrs)", ifdef = "KVM_GET_SREGS2")
    static final int SREGS2_PDPTRS = 288;

    @C(value = "KVM_SREGS2_FLAGS_PDPTRS_VALID", ifdef = "KVM_GET_SREGS2")
    static final int KVM_SREGS2_FLAGS_PDPTRS_VALID = 1;

    @C("offsetof(struct kvm_xcrs, nr_xcrs)")
    static final int XCRS_COUNT = 0;

    @C("offsetof(struct kvm_xcrs, xcrs[0].xcr)")
    static final int XCRS_FIRST_NUMBER = 8;

    @C("offsetof(struct kvm_xcrs, xcrs[0].value)")
    static final int XCRS_FIRST_VALUE = 16;

    @C("offsetof(struct kvm_debugregs, db)")
    static final int DEBUGREGS_DB = 0;

    @C("offsetof(struct kvm_debugregs, dr6)")
    static final int DEBUGREGS_DR6 = 32;

    @C("offsetof(struct kvm_debugregs, dr7)")
    static final int DEBUGREGS_DR7 = 40;

    @C("offsetof(struct kvm_vcpu_events, exception.injected)")
    static final int EVENTS_EXCEPTION_INJECTED = 0;

    @C("offsetof(struct kvm_vcpu_events, exception.nr)")
    static final int EVENTS_EXCEPTION_NR = 1;

    @C("offsetof(struct kvm_vcpu_events, exception.has_error_code)")
    static final int EVENTS_EXCEPTION_HAS_ERROR_CODE = 2;

    @C("offsetof(struct kvm_vcpu_events, exception.pending)")
    static final int EVENTS_EXCEPTION_PENDING = 3;

    @C("offsetof(struct kvm_vcpu_events, exception.error_code)")
    static final int EVENTS_EXCEPTION_ERROR_CODE = 4;

    @C("offsetof(struct kvm_vcpu_events, interrupt.injected)")
    static final int EVENTS_INTERRUPT_INJECTED = 8;

    @C("offsetof(struct kvm_vcpu_events, interrupt.nr)")
    static final int EVENTS_INTERRUPT_NR = 9;

    @C("offsetof(struct kvm_vcpu_events, interrupt.soft)")
    static final int EVENTS_INTERRUPT_SOFT = 10;

    @C("offsetof(struct kvm_vcpu_events, interrupt.shadow)")
    static final int EVENTS_INTERRUPT_SHADOW = 11;

    @C("offsetof(struct kvm_vcpu_events, nmi.injected)")
    static final int EVENTS_NMI_INJECTED = 12;

    @C("offsetof(struct kvm_vcpu_events, nmi.pending)")
    static final int EVENTS_NMI_PENDING = 13;

    @C("offsetof(struct kvm_vcpu_events, nmi.masked)")
    static final int EVENTS_NMI_MASKED = 14;

    @C("offsetof(struct kvm_vcpu_events, flags)")
    static final int EVENTS_FLAGS = 20;

    @C("offsetof(struct kvm_vcpu_events, exception_has_payload)")
    static final int EVENTS_HAS_PAYLOAD = 55;

    @C("offsetof(struct kvm_vcpu_events, exception_payload)")
    static final int EVENTS_PAYLOAD = 56;

    @C("KVM_VCPUEVENT_VALID_NMI_PENDING")
    static final int KVM_VCPUEVENT_VALID_NMI_PENDING = 1;

    @C("KVM_VCPUEVENT_VALID_SHADOW")
    static final int KVM_VCPUEVENT_VALID_SHADOW = 4;

    @C("KVM_VCPUEVENT_VALID_SMM")
    static final int KVM_VCPUEVENT_VALID_SMM = 8;

    @C(value = "KVM_VCPUEVENT_VALID_TRIPLE_FAULT", ifdef = "KVM_VCPUEVENT_VALID_TRIPLE_FAULT")
    static final int KVM_VCPUEVENT_VALID_TRIPLE_FAULT = 0x20;

    @C("KVM_VCPUEVENT_VALID_PAYLOAD")
    static final int KVM_VCPUEVENT_VALID_PAYLOAD = 16;

    @C("KVM_X86_SHADOW_INT_MOV_SS")
    static final int KVM_X86_SHADOW_INT_MOV_SS = 1;

    @C("KVM_X86_SHADOW_INT_STI")
    static final int KVM_X86_SHADOW_INT_STI = 2;

    @C(value = "KVM_VCPU_TSC_CTRL", ifdef = "KVM_VCPU_TSC_CTRL")
    static final int KVM_VCPU_TSC_CTRL = 0;

    @C(value = "KVM_VCPU_TSC_OFFSET", ifdef = "KVM_VCPU_TSC_CTRL")
    static final int KVM_VCPU_TSC_OFFSET = 0;

    @C("offsetof(struct kvm_device_attr, group)")
    static final int DEVICE_ATTR_GROUP = 4;

    @C("offsetof(struct kvm_device_attr, attr)")
    static final int DEVICE_ATTR_ATTR = 8;

    @C("offsetof(struct kvm_device_attr, addr)")
    static final int DEVICE_ATTR_ADDRESS = 16;

    // Structures of a virtual machine's state.
    @C("offsetof(struct kvm_irqchip, chip_id)")
    static final int IRQCHIP_ID = 0;

    @C("KVM_NR_IRQCHIPS")
    static final int IRQCHIPS = 3;

    @C("offsetof(struct kvm_clock_data, flags)")
    static final int CLOCK_FLAGS = 8;

    @C(value = "KVM_CLOCK_REALTIME", ifdef = "KVM_CLOCK_REALTIME")
    static final int KVM_CLOCK_REALTIME = 4;

    @C("offsetof(struct kvm_enable_cap, cap)")
    static final int ENABLE_CAP_CAP = 0;

    @C("offsetof(struct kvm_enable_cap, args)")
    static final int ENABLE_CAP_ARGS = 8;

    @C("offsetof(struct kvm_msr_list, nmsrs)")
    static final int MSR_LIST_COUNT = 0;

    @C("offsetof(struct kvm_dirty_log, slot)")
    static final int DIRTY_LOG_SLOT = 0;

    @C("offsetof(struct kvm_dirty_log, dirty_bitmap)")
    static final int DIRTY_LOG_BITMAP = 8;

    @C("offsetof(struct kvm_clear_dirty_log, slot)")
    static final int CLEAR_DIRTY_LOG_SLOT = 0;

    @C("offsetof(struct kvm_clear_dirty_log, num_pages)")
    static final int CLEAR_DIRTY_LOG_PAGES = 4;

    @C("offsetof(struct kvm_clear_dirty_log, first_page)")
    static final int CLEAR_DIRTY_LOG_FIRST = 8;

    @C("offsetof(struct kvm_clear_dirty_log, dirty_bitmap)")
    static final int CLEAR_DIRTY_LOG_BITMAP = 16;

    @C("KVM_DIRTY_LOG_MANUAL_PROTECT_ENABLE")
    static final int KVM_DIRTY_LOG_MANUAL_PROTECT_ENABLE = 1;

    // struct kvm_cpuid2, struct kvm_cpuid_entry2
    @C("KVM_CPUID_FLAG_SIGNIFCANT_INDEX")
    static final int KVM_CPUID_FLAG_SIGNIFCANT_INDEX = 1;

    @C("offsetof(struct kvm_cpuid2, nent)")
    static final int CPUID2_COUNT = 0;

    @C("offsetof(struct kvm_cpuid_entry2, function)")
    static final int CPUID_FUNCTION = 0;

    @C("offsetof(struct kvm_cpuid_entry2, index)")
    static final int CPUID_INDEX = 4;

    @C("offsetof(struct kvm_cpuid_entry2, flags)")
    static final int CPUID_FLAGS = 8;

    @C("offsetof(struct kvm_cpuid_entry2, eax)")
    static final int CPUID_EAX = 12;

    @C("offsetof(struct kvm_cpuid_entry2, ebx)")
    static final int CPUID_EBX = 16;

    @C("offsetof(struct kvm_cpuid_entry2, ecx)")
    static final int CPUID_ECX = 20;

    @C("offsetof(struct kvm_cpuid_entry2, edx)")
    static final int CPUID_EDX = 24;

    // What libc's headers say, the same on x86-64 and aarch64.
    @C("O_RDWR | O_CLOEXEC")
    static final int OPEN_FLAGS = 0x80002;

    @C("PROT_READ | PROT_WRITE")
    static final int PROT_READ_WRITE = 3;

    @C("MAP_SHARED")
    static final int MAP_SHARED = 1;

    @C("sizeof(struct sigaction)")
    static final int SIGACTION_SIZE = 152;

    @C("offsetof(struct sigaction, sa_handler)")
    static final int SIGACTION_HANDLER = 0;

    @C("offsetof(struct sigaction, sa_flags)")
    static final int SIGACTION_FLAGS = 136;

    @C("SA_RESTART")
    static final int SA_RESTART = 0x10000000;

    @C("sizeof(sigset_t)")
    static final int SIGSET_SIZE = 128;

    @C("SIG_UNBLOCK")
    static final int SIG_UNBLOCK = 1;

    @C("(long) SIG_DFL")
    static final int SIG_DFL = 0;

    private static final long KVMIO = 0xaeL;

    private KvmAbi() {}

    /** The macros of {@code <asm-generic/ioctl.h>}: direction in 31:30, size in 29:16, type in 15:8, number in 7:0. */
    private static long io(int number) {
        return KVMIO << 8 | number;
    }

    private static long iow(int number, int size) {
        return 1L << 30 | (long) size << 16 | io(number);
    }

    private static long ior(int number, int size) {
        return 2L << 30 | (long) size << 16 | io(number);
    }

    private static long iowr(int number, int size) {
        return 3L << 30 | (long) size << 16 | io(number);
    }
}
