package io.membacking.partition.whp;

import io.membacking.error.BackendException;
import io.membacking.error.Failure;
import io.membacking.range.MemoryRange;
import org.jspecify.annotations.Nullable;

/** What is said when the platform refuses: the problem, and what the reader can do about it. */
final class WhpErrors {
    static final String ENABLE = "enable the Windows feature 'Windows Hypervisor Platform' (as administrator:"
            + " Enable-WindowsOptionalFeature -Online -FeatureName HypervisorPlatform) and start Windows again";

    static final String START_HYPERVISOR =
            "enable virtualization in the firmware setup or, inside a virtual machine, nested"
                    + " virtualization in its host; " + ENABLE
                    + "; check that 'bcdedit' shows hypervisorlaunchtype Auto";

    private WhpErrors() {}

    /** A refusal of this backend's own. */
    static BackendException refused(String operation, @Nullable MemoryRange range, String problem, String remedy) {
        return new BackendException(Failure.of(operation, range, problem, remedy));
    }

    /** A refusal of the platform's. */
    static BackendException failed(String operation, @Nullable MemoryRange range, String problem, int result) {
        return new BackendException(new Failure(operation, range, problem, remedy(result), Hresult.named(result)));
    }

    static void check(int result, String operation, String problem) throws BackendException {
        if (result < 0) {
            throw failed(operation, null, problem, result);
        }
    }

    private static String remedy(int result) {
        return switch (result) {
            case Hresult.E_OUTOFMEMORY -> "free host memory, or close partitions";
            case Hresult.E_ACCESSDENIED -> "run with the rights that the Windows Hypervisor Platform asks for";
            case Hresult.HYPERVISOR_NOT_PRESENT -> START_HYPERVISOR;
            case Hresult.E_NOTIMPL, Hresult.NO_SUCH_CALL -> "use a later version of Windows, or do without";
            case Hresult.PARTITION_ALREADY_EXISTS ->
                "close the other partition, or give this one memory through another process";
            default -> "";
        };
    }
}
