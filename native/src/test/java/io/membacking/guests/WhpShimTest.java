package io.membacking.guests;

import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;

/** The WinHvPlatform API over KVM keeps the contract that its README states; without that, tests on it would prove nothing. */
class WhpShimTest {
    @Test
    void passesItsOwnTestsOnLinuxAndUnderWine() throws Exception {
        String test = "passesItsOwnTestsOnLinuxAndUnderWine";
        Tools.require(test, "make and gcc on PATH", Tools.onPath("make") && Tools.onPath("gcc"));
        Tools.require(test, "/dev/kvm to read and write", Files.isWritable(Path.of("/dev/kvm")));
        String said = Tools.run("make", "--silent", "-C", "whp-shim", "check");
        Tools.require(test, "for all of it, what is named here:\n" + said, !said.contains("SKIPPED"));
    }
}
