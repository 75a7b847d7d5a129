package io.membacking.partition.whp;

import io.membacking.error.NativeError;
import java.util.Map;

/** Results of the platform's calls, from {@code winerror.h} and {@code ntstatus.h}. Below zero is a failure. */
final class Hresult {
    static final int OK = 0;
    static final int E_NOTIMPL = 0x80004001;
    static final int E_UNEXPECTED = 0x8000ffff;
    static final int E_ACCESSDENIED = 0x80070005;
    static final int E_HANDLE = 0x80070006;
    static final int E_OUTOFMEMORY = 0x8007000e;
    static final int E_INVALIDARG = 0x80070057;
    static final int UNKNOWN_CAPABILITY = 0x80370300;
    static final int INSUFFICIENT_BUFFER = 0x80370301;
    static final int UNKNOWN_PROPERTY = 0x80370302;
    static final int UNSUPPORTED_HYPERVISOR_CONFIG = 0x80370303;
    static final int INVALID_PARTITION_CONFIG = 0x80370304;
    static final int GPA_RANGE_NOT_FOUND = 0x80370305;
    static final int VP_ALREADY_EXISTS = 0x80370306;
    static final int VP_DOES_NOT_EXIST = 0x80370307;
    static final int INVALID_VP_STATE = 0x80370308;
    static final int INVALID_VP_REGISTER_NAME = 0x80370309;
    /** ERROR_VID_PARTITION_ALREADY_EXISTS: another partition of this process has memory. */
    static final int PARTITION_ALREADY_EXISTS = 0xc0370008;

    static final int HYPERVISOR_NOT_PRESENT = 0xc0351000;

    /** This system's library has no such call; it is no result of the platform's. */
    static final int NO_SUCH_CALL = 0x8007007f;

    private static final Map<Integer, String> NAMES = Map.ofEntries(
            Map.entry(E_NOTIMPL, "E_NOTIMPL"),
            Map.entry(E_UNEXPECTED, "E_UNEXPECTED"),
            Map.entry(E_ACCESSDENIED, "E_ACCESSDENIED"),
            Map.entry(E_HANDLE, "E_HANDLE"),
            Map.entry(E_OUTOFMEMORY, "E_OUTOFMEMORY"),
            Map.entry(E_INVALIDARG, "E_INVALIDARG"),
            Map.entry(UNKNOWN_CAPABILITY, "WHV_E_UNKNOWN_CAPABILITY"),
            Map.entry(INSUFFICIENT_BUFFER, "WHV_E_INSUFFICIENT_BUFFER"),
            Map.entry(UNKNOWN_PROPERTY, "WHV_E_UNKNOWN_PROPERTY"),
            Map.entry(UNSUPPORTED_HYPERVISOR_CONFIG, "WHV_E_UNSUPPORTED_HYPERVISOR_CONFIG"),
            Map.entry(INVALID_PARTITION_CONFIG, "WHV_E_INVALID_PARTITION_CONFIG"),
            Map.entry(GPA_RANGE_NOT_FOUND, "WHV_E_GPA_RANGE_NOT_FOUND"),
            Map.entry(VP_ALREADY_EXISTS, "WHV_E_VP_ALREADY_EXISTS"),
            Map.entry(VP_DOES_NOT_EXIST, "WHV_E_VP_DOES_NOT_EXIST"),
            Map.entry(INVALID_VP_STATE, "WHV_E_INVALID_VP_STATE"),
            Map.entry(INVALID_VP_REGISTER_NAME, "WHV_E_INVALID_VP_REGISTER_NAME"),
            Map.entry(PARTITION_ALREADY_EXISTS, "ERROR_VID_PARTITION_ALREADY_EXISTS"),
            Map.entry(HYPERVISOR_NOT_PRESENT, "ERROR_HV_NOT_PRESENT"),
            Map.entry(NO_SUCH_CALL, "ERROR_PROC_NOT_FOUND"));

    private Hresult() {}

    static NativeError named(int result) {
        return new NativeError(result, NAMES.getOrDefault(result, "HRESULT"));
    }
}
