package io.membacking.partition.kvm;

import io.membacking.error.BackendException;
import io.membacking.error.Failure;
import io.membacking.range.MemoryRange;
import org.jspecify.annotations.Nullable;

/** What is said when KVM refuses: the problem, and what the reader can do about it. */
final class KvmErrors {
    private KvmErrors() {}

    /** A refusal of this backend's own. */
    static BackendException refused(String operation, @Nullable MemoryRange range, String problem, String remedy) {
        return new BackendException(Failure.of(operation, range, problem, remedy));
    }

    /** A refusal of the kernel's. @param result the negated errno */
    static BackendException failed(String operation, @Nullable MemoryRange range, String problem, int result) {
        int errno = -result;
        return new BackendException(new Failure(operation, range, problem, remedy(errno), Errno.named(errno)));
    }

    /** The device could not be opened. @param result the negated errno */
    static BackendException noDevice(String operation, String device, int result) {
        int errno = -result;
        String remedy =
                switch (errno) {
                    case Errno.ENOENT, Errno.ENODEV, Errno.ENXIO ->
                        "load the module (modprobe kvm_intel or kvm_amd) and enable virtualization in the firmware setup, or, inside"
                                + " a virtual machine, nested virtualization in its host";
                    case Errno.EACCES, Errno.EPERM ->
                        "add the user " + System.getProperty("user.name", "?")
                                + " to the group kvm (usermod -aG kvm) and log in again, or, inside a container, pass "
                                + device
                                + " through";
                    default -> remedy(errno);
                };
        return new BackendException(
                new Failure(operation, null, device + " cannot be opened", remedy, Errno.named(errno)));
    }

    private static String remedy(int errno) {
        return switch (errno) {
            case Errno.EMFILE -> "raise the limit on open files of this process (ulimit -n) or close partitions";
            case Errno.ENFILE -> "raise the limit on open files of this host (sysctl fs.file-max)";
            case Errno.ENOMEM -> "free host memory, or raise the limits of this process's control group";
            case Errno.ENOSPC -> "close partitions or unmap ranges";
            case Errno.EBUSY -> "another hypervisor holds the processor's virtualization: end it, or unload its module";
            case Errno.EACCES, Errno.EPERM -> "allow this process to use KVM (group kvm, seccomp, container policy)";
            case Errno.ENOTTY ->
                "check that /dev/kvm is the device of the kernel's KVM, and that nothing else was mounted there";
            case Errno.EINVAL -> "give it what this host's KVM takes: another host's may take more";
            case Errno.EEXIST -> "end what is there already (unmap it, or close its partition), then try again";
            case Errno.EIO ->
                "make another partition, in the process that is to use it: this one is dead for good (the kernel's log may say why)";
            case Errno.EFAULT ->
                "look whether the host memory behind it is still mapped, and its file as long as it was";
            case Errno.ENOENT -> "map memory there first";
            case Errno.EINTR, Errno.EAGAIN -> "try again";
            case Errno.EHWPOISON -> "replace the host's broken memory module, and map other memory there";
            case Errno.EOPNOTSUPP, Errno.ENXIO, Errno.ENODEV -> "do without, or use a newer kernel";
            default -> "look into the kernel's log (dmesg) for what KVM says";
        };
    }
}
