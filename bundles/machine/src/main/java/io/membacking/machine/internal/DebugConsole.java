package io.membacking.machine.internal;

/** The debug console at port 0x402: bytes written to it are output; reading 0xe9 says that it is there. */
final class DebugConsole implements PortDevice {
    static final int PORT = 0x402;

    private final ConsoleOutput output;

    DebugConsole(ConsoleOutput output) {
        this.output = output;
    }

    void attachTo(PortBus bus) {
        bus.attach(PORT, PORT, 1, this);
    }

    @Override
    public int read(int port, int size) {
        return 0xe9;
    }

    @Override
    public void write(int port, int size, int value) {
        output.write((byte) value);
    }
}
