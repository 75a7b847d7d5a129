package io.membacking.partition.kvm;

import com.sun.jna.Pointer;
import io.membacking.partition.Exit;
import java.util.Arrays;

/**
 * A processor's {@code struct kvm_run}, shared with the kernel: reads exits from it and writes the answers into it. Its memory is
 * mapped from the processor's creation to its end, and is touched in between alone.
 */
final class RunArea {
    private final Pointer area;

    RunArea(long address) {
        area = new Pointer(address);
    }

    long address() {
        return Pointer.nativeValue(area);
    }

    /** Makes KVM_RUN return at once, after it has completed the last exit; until it is taken back. */
    void setImmediateExit(boolean immediate) {
        area.setByte(KvmAbi.RUN_IMMEDIATE_EXIT, (byte) (immediate ? 1 : 0));
    }

    int exitReason() {
        return area.getInt(KvmAbi.RUN_EXIT_REASON);
    }

    void clearExitReason() {
        area.setInt(KvmAbi.RUN_EXIT_REASON, KvmAbi.KVM_EXIT_UNKNOWN);
    }

    /** Without an APIC in the kernel KVM_RUN takes CR8 from here, whatever was set before. */
    void setCr8(long cr8) {
        area.setLong(KvmAbi.RUN_CR8, cr8);
    }

    Exit.PortIo portIo() {
        int size = area.getByte(KvmAbi.RUN_IO_SIZE) & 0xff;
        int count = area.getInt(KvmAbi.RUN_IO_COUNT);
        boolean input = area.getByte(KvmAbi.RUN_IO_DIRECTION) == KvmAbi.KVM_EXIT_IO_IN;
        byte[] data = input ? new byte[size * count] : area.getByteArray(portDataOffset(), size * count);
        return new Exit.PortIo(area.getShort(KvmAbi.RUN_IO_PORT) & 0xffff, size, count, input, data);
    }

    Exit.Mmio mmio() {
        int size = area.getInt(KvmAbi.RUN_MMIO_LENGTH);
        boolean input = area.getByte(KvmAbi.RUN_MMIO_IS_WRITE) == 0;
        byte[] data = input ? new byte[size] : area.getByteArray(KvmAbi.RUN_MMIO_DATA, size);
        return new Exit.Mmio(area.getLong(KvmAbi.RUN_MMIO_GPA), size, input, data);
    }

    /** Where the data of the port exit that is in the area lies. */
    long portDataOffset() {
        return area.getLong(KvmAbi.RUN_IO_DATA_OFFSET);
    }

    void supply(long offset, byte[] data) {
        area.write(offset, data, 0, data.length);
    }

    long failEntryReason() {
        return area.getLong(KvmAbi.RUN_FAIL_ENTRY_REASON);
    }

    long memoryFaultGpa() {
        return area.getLong(KvmAbi.RUN_MEMORY_FAULT_GPA);
    }

    int suberror() {
        return area.getInt(KvmAbi.RUN_INTERNAL_SUBERROR);
    }

    String suberrorName() {
        return switch (suberror()) {
            case KvmAbi.KVM_INTERNAL_ERROR_EMULATION -> "KVM cannot emulate the instruction";
            case KvmAbi.KVM_INTERNAL_ERROR_SIMUL_EX -> "KVM met simultaneous exceptions";
            case KvmAbi.KVM_INTERNAL_ERROR_DELIVERY_EV -> "KVM met an unexpected exit while delivering an event";
            case KvmAbi.KVM_INTERNAL_ERROR_UNEXPECTED_EXIT_REASON -> "KVM met an unexpected exit of the hardware";
            default -> "KVM reports internal error " + suberror();
        };
    }

    /** The bytes of the instruction that could not be emulated, as far as KVM tells them. */
    byte[] failedInstruction() {
        boolean told = suberror() == KvmAbi.KVM_INTERNAL_ERROR_EMULATION
                && area.getInt(KvmAbi.RUN_EMULATION_NDATA) >= 3
                && (area.getLong(KvmAbi.RUN_EMULATION_FLAGS)
                                & KvmAbi.KVM_INTERNAL_ERROR_EMULATION_FLAG_INSTRUCTION_BYTES)
                        != 0;
        if (!told) {
            return new byte[0];
        }
        int size = Math.min(area.getByte(KvmAbi.RUN_EMULATION_INSN_SIZE) & 0xff, KvmAbi.INSN_BYTES);
        return Arrays.copyOf(area.getByteArray(KvmAbi.RUN_EMULATION_INSN_BYTES, KvmAbi.INSN_BYTES), size);
    }

    String systemEvent() {
        int type = area.getInt(KvmAbi.RUN_SYSTEM_EVENT_TYPE);
        return switch (type) {
            case KvmAbi.KVM_SYSTEM_EVENT_SHUTDOWN -> "the guest asked for power off";
            case KvmAbi.KVM_SYSTEM_EVENT_RESET -> "the guest asked for a reset";
            case KvmAbi.KVM_SYSTEM_EVENT_CRASH -> "the guest reported a crash";
            default -> "system event " + type;
        };
    }
}
