package io.membacking.partition.reference;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.membacking.partition.Exit;
import io.membacking.partition.Partition;
import io.membacking.partition.PartitionBackend;
import io.membacking.partition.PartitionRequest;
import io.membacking.partition.Processor;
import io.membacking.partition.contract.BackendRequirement;
import io.membacking.partition.contract.GuestStates;
import io.membacking.partition.contract.TestRam;
import io.membacking.partition.kvm.KvmBackend;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.TestInfo;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** What gcc makes of plain integer C runs here as it runs on KVM, and comes to what Java comes to. */
@Timeout(120)
class CompiledGuestTest {
    private static final Path SOURCES = Path.of("../../native/guests/c");
    private static final long RAM_SIZE = 4L << 20;
    private static final long PROGRAM = 0x10000;
    private static final long STACK = 0x300000;
    private static final long CONSOLE = 0x30000000L;
    private static final long END = 0x30001000L;

    @TempDir
    Path directory;

    @ParameterizedTest
    @ValueSource(strings = {"-O0", "-O1", "-O2", "-O3", "-Os"})
    void compiledIntegersComeToTheSameHereOnKvmAndInJava(String optimization, TestInfo test) throws Exception {
        byte[] program = compile(optimization, test);
        String expected = CompiledIntegers.expected();
        try (ReferenceBackend reference = new ReferenceBackend();
                KvmBackend kvm = new KvmBackend()) {
            assertEquals(expected, run(reference, program));
            BackendRequirement.require(kvm, test);
            assertEquals(expected, run(kvm, program));
        }
    }

    private byte[] compile(String optimization, TestInfo test) throws Exception {
        Path file = directory.resolve("integers.bin");
        ProcessBuilder gcc = new ProcessBuilder(List.of(
                        "gcc",
                        optimization,
                        "-ffreestanding",
                        "-fno-pic",
                        "-no-pie",
                        "-mno-red-zone",
                        "-mgeneral-regs-only",
                        "-nostdlib",
                        "-static",
                        "-Wl,-T,integers.ld",
                        "-o",
                        file.toString(),
                        "integers.c",
                        "-lgcc"))
                .directory(SOURCES.toFile())
                .redirectErrorStream(true)
                .redirectOutput(directory.resolve("gcc.log").toFile());
        boolean there = System.getProperty("os.arch").equals("amd64")
                && List.of(System.getenv("PATH").split(":")).stream()
                        .anyMatch(folder -> Files.isExecutable(Path.of(folder, "gcc")));
        BackendRequirement.require(there, test, "gcc for x86-64 on PATH is needed");
        Process process = gcc.start();
        assertTrue(process.waitFor(60, TimeUnit.SECONDS));
        assertEquals(0, process.exitValue(), () -> read(directory.resolve("gcc.log")));
        return Files.readAllBytes(file);
    }

    private static String read(Path file) {
        try {
            return Files.readString(file);
        } catch (IOException e) {
            return e.toString();
        }
    }

    /** What the program printed. */
    private static String run(PartitionBackend backend, byte[] program) throws Exception {
        try (TestRam ram = new TestRam(RAM_SIZE);
                Partition partition = backend.createPartition(new PartitionRequest("compiled", false, 1))) {
            partition.map(ram.at(0));
            Processor processor = partition.createProcessor(0);
            GuestStates.writePageTables(ram);
            ram.write(PROGRAM, program);
            processor.setState(GuestStates.longUser(
                    processor.state(), GuestStates.at(PROGRAM).rsp(STACK - 8).done()));
            StringBuilder text = new StringBuilder();
            while (true) {
                Exit.Mmio write = assertInstanceOf(Exit.Mmio.class, processor.run(), text::toString);
                if (write.gpa() == END) {
                    return text.toString();
                }
                assertEquals(CONSOLE, write.gpa());
                text.append((char) write.value());
            }
        }
    }
}
