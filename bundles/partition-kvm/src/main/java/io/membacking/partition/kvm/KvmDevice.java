package io.membacking.partition.kvm;

import com.sun.jna.Memory;
import io.membacking.error.BackendException;
import io.membacking.partition.Capabilities;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;

/** {@code /dev/kvm}, open: what can be asked before there is a virtual machine. Not thread-safe. */
final class KvmDevice implements AutoCloseable {
    private static final String PATH = "/dev/kvm";

    /** What KVM of this architecture offers where it cannot be asked: nothing counts on more. */
    private static final int LEAST_SLOTS = 32;

    private static final int LEAST_X86_WIDTH = 36;

    /** aarch64's, for a virtual machine made without saying otherwise. */
    private static final int ARM_DEFAULT_WIDTH = 40;

    private final Syscalls calls;
    private final int fd;

    private KvmDevice(Syscalls calls, int fd) {
        this.calls = calls;
        this.fd = fd;
    }

    /** @throws BackendException with the remedy, if it is missing, closed to this user, or not as this backend needs it */
    static KvmDevice open(Syscalls calls, String operation) throws BackendException {
        int fd = calls.open(PATH);
        if (fd < 0) {
            throw KvmErrors.noDevice(operation, PATH, fd);
        }
        KvmDevice device = new KvmDevice(calls, fd);
        boolean usable = false;
        try {
            device.check(operation);
            usable = true;
            return device;
        } finally {
            if (!usable) {
                device.close();
            }
        }
    }

    private void check(String operation) throws BackendException {
        int version = calls.ioctl(fd, KvmAbi.KVM_GET_API_VERSION, 0);
        if (version < 0) {
            throw KvmErrors.failed(operation, null, PATH + " does not answer as KVM does", version);
        }
        if (version != KvmAbi.KVM_API_VERSION) {
            throw KvmErrors.refused(
                    operation,
                    null,
                    "KVM has version " + version + " of its interface, not " + KvmAbi.KVM_API_VERSION,
                    "use a kernel with the stable interface");
        }
        for (int needed :
                new int[] {KvmAbi.KVM_CAP_USER_MEMORY, KvmAbi.KVM_CAP_SYNC_MMU, KvmAbi.KVM_CAP_IMMEDIATE_EXIT}) {
            if (extension(needed) == 0) {
                throw KvmErrors.refused(operation, null, "KVM lacks extension " + needed, "use Linux 4.12 or later");
            }
        }
    }

    static boolean isX86() {
        String architecture = System.getProperty("os.arch", "").toLowerCase(Locale.ROOT);
        return architecture.equals("amd64") || architecture.equals("x86_64");
    }

    /** 0 if it is not there. */
    int extension(int number) {
        return Math.max(0, calls.ioctl(fd, KvmAbi.KVM_CHECK_EXTENSION, number));
    }

    /** @return the descriptor of a new virtual machine, the caller's to close */
    int createVm(String operation) throws BackendException {
        // x86 has one type, 0; aarch64's says how wide its addresses are.
        int vm = calls.ioctl(fd, KvmAbi.KVM_CREATE_VM, isX86() ? 0 : extension(KvmAbi.KVM_CAP_ARM_VM_IPA_SIZE));
        if (vm < 0) {
            throw KvmErrors.failed(operation, null, "KVM refuses another virtual machine", vm);
        }
        return vm;
    }

    /** Bytes that a processor's descriptor must be mapped with. */
    int runAreaSize(String operation) throws BackendException {
        int size = calls.ioctl(fd, KvmAbi.KVM_GET_VCPU_MMAP_SIZE, 0);
        if (size < 0) {
            throw KvmErrors.failed(operation, null, "KVM does not tell the size of a processor's run area", size);
        }
        return size;
    }

    CpuidTable supportedCpuid(String operation) throws BackendException {
        for (int leaves = 128; ; leaves *= 2) {
            try (Memory table = new Memory(KvmAbi.CPUID2_HEADER_SIZE + (long) leaves * KvmAbi.CPUID_ENTRY_SIZE)) {
                table.clear();
                table.setInt(KvmAbi.CPUID2_COUNT, leaves);
                int result = calls.ioctl(fd, KvmAbi.KVM_GET_SUPPORTED_CPUID, table);
                if (result >= 0) {
                    return CpuidTable.from(table);
                }
                if (result != -Errno.E2BIG || leaves > 1 << 16) {
                    throw KvmErrors.failed(operation, null, "KVM does not tell which CPUID it supports", result);
                }
            }
        }
    }

    /** @throws BackendException if KVM does not list its model-specific registers */
    KvmFeatures features(String operation) throws BackendException {
        return new KvmFeatures(
                extension(KvmAbi.KVM_CAP_TSC_DEADLINE_TIMER) != 0,
                extension(KvmAbi.KVM_CAP_SREGS2) != 0,
                extension(KvmAbi.KVM_CAP_XCRS) != 0,
                extension(KvmAbi.KVM_CAP_XSAVE2),
                extension(KvmAbi.KVM_CAP_EXCEPTION_PAYLOAD) != 0,
                extension(KvmAbi.KVM_CAP_X86_TRIPLE_FAULT_EVENT) != 0,
                (extension(KvmAbi.KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2) & KvmAbi.KVM_DIRTY_LOG_MANUAL_PROTECT_ENABLE) != 0,
                isX86() ? msrs(operation) : List.of());
    }

    private List<Integer> msrs(String operation) throws BackendException {
        for (int room = 256; ; room *= 2) {
            try (Memory list = new Memory(KvmAbi.MSR_LIST_HEADER_SIZE + (long) room * Integer.BYTES)) {
                list.clear();
                list.setInt(KvmAbi.MSR_LIST_COUNT, room);
                int result = calls.ioctl(fd, KvmAbi.KVM_GET_MSR_INDEX_LIST, list);
                if (result >= 0) {
                    List<Integer> msrs = new ArrayList<>();
                    for (int i = 0; i < list.getInt(KvmAbi.MSR_LIST_COUNT); i++) {
                        msrs.add(list.getInt(KvmAbi.MSR_LIST_HEADER_SIZE + (long) i * Integer.BYTES));
                    }
                    return msrs;
                }
                if (result != -Errno.E2BIG || room > 1 << 16) {
                    throw KvmErrors.failed(operation, null, "KVM does not list its model-specific registers", result);
                }
            }
        }
    }

    Capabilities capabilities(String operation) throws BackendException {
        int slots = extension(KvmAbi.KVM_CAP_NR_MEMSLOTS);
        int width;
        if (isX86()) {
            width = supportedCpuid(operation).physicalAddressWidth();
        } else {
            int told = extension(KvmAbi.KVM_CAP_ARM_VM_IPA_SIZE);
            width = told == 0 ? ARM_DEFAULT_WIDTH : told;
        }
        return capabilities(
                extension(KvmAbi.KVM_CAP_READONLY_MEM) != 0,
                extension(KvmAbi.KVM_CAP_PRE_FAULT_MEMORY) != 0,
                isX86() && extension(KvmAbi.KVM_CAP_IRQCHIP) != 0 && extension(KvmAbi.KVM_CAP_PIT2) != 0,
                width,
                slots == 0 ? LEAST_SLOTS : slots);
    }

    /** What is said while KVM cannot be asked. */
    static Capabilities leastCapabilities() {
        return capabilities(true, false, isX86(), isX86() ? LEAST_X86_WIDTH : ARM_DEFAULT_WIDTH, LEAST_SLOTS);
    }

    private static Capabilities capabilities(
            boolean readOnly, boolean prefetch, boolean interruptControllers, int width, int slots) {
        return new Capabilities(
                readOnly,
                false,
                false,
                true,
                prefetch,
                false,
                true,
                false,
                // KVM's emulator has moved on already when a write exits, and has not when a read does.
                false,
                interruptControllers,
                false,
                isX86(),
                width,
                slots,
                StateParts.FORMAT);
    }

    /** The most processors of one virtual machine. */
    int maxProcessors() {
        int most = extension(KvmAbi.KVM_CAP_MAX_VCPUS);
        return most != 0 ? most : Math.max(1, extension(KvmAbi.KVM_CAP_NR_VCPUS));
    }

    @Override
    public void close() {
        calls.close(fd);
    }
}
