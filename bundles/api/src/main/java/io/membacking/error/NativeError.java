package io.membacking.error;

/**
 * What the operating system answered: an errno or an HRESULT, and its name.
 *
 * @param code the number as the system gives it
 * @param name its symbolic name, {@code ENOMEM} say, or the number in text where it has none
 */
public record NativeError(int code, String name) {
    @Override
    public String toString() {
        return name + " (" + (code < 0 ? "0x" + Integer.toHexString(code) : Integer.toString(code)) + ")";
    }
}
