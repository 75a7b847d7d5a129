package io.membacking.runner;

import io.membacking.guests.GuestProgram;
import io.membacking.machine.BootSource;
import io.membacking.partition.PartitionBackend;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.Arrays;
import java.util.Deque;
import java.util.List;
import java.util.Locale;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;
import org.osgi.framework.FrameworkUtil;
import org.osgi.framework.InvalidSyntaxException;

/**
 * The command line.
 *
 * @param firmware a file, or null
 * @param kernel likewise
 * @param flat likewise
 * @param guest a guest program of our own, or null; at most one of the four is given
 * @param backend an LDAP filter over the backends' service properties, or empty for any
 * @param timeout zero for none
 */
record RunOptions(
        long memory,
        int processors,
        @Nullable String firmware,
        @Nullable String kernel,
        String commandLine,
        @Nullable String flat,
        long flatAddress,
        BootSource.Mode flatMode,
        @Nullable GuestProgram guest,
        String backend,
        Duration timeout,
        boolean shell,
        boolean version) {

    static RunOptions parse(List<String> arguments) throws RunFailure {
        Parser parser = new Parser(arguments);
        parser.run();
        return parser.options();
    }

    /** Whether it says what to boot. */
    boolean namesImage() {
        return firmware != null || kernel != null || flat != null || guest != null;
    }

    private static RunFailure usage(String problem) {
        return new RunFailure(ExitStatus.USAGE, problem + "; --help tells what there is");
    }

    /** Takes the arguments one by one; {@code --name value} and {@code --name=value} are the same. */
    private static final class Parser {
        private static final Duration DEFAULT_TIMEOUT = Duration.ofMinutes(5);

        private final Deque<String> rest;
        private long memory = 64L << 20;
        private int processors = 1;
        private @Nullable String firmware;
        private @Nullable String kernel;
        private @Nullable String commandLine;
        private @Nullable String flat;
        private long flatAddress = 0x8000;
        private BootSource.Mode flatMode = BootSource.Mode.REAL;
        private @Nullable GuestProgram guest;
        private String backend = "";
        private Duration timeout = DEFAULT_TIMEOUT;
        private boolean shell;
        private boolean version;

        Parser(List<String> arguments) {
            rest = new ArrayDeque<>(arguments);
        }

        void run() throws RunFailure {
            while (!rest.isEmpty()) {
                String argument = rest.pop();
                int equals = argument.indexOf('=');
                if (argument.startsWith("--") && equals > 0) {
                    rest.push(argument.substring(equals + 1));
                    argument = argument.substring(0, equals);
                    int before = rest.size();
                    take(argument);
                    if (rest.size() == before) {
                        throw usage("option " + argument + " takes no value");
                    }
                } else {
                    take(argument);
                }
            }
            int images = (firmware == null ? 0 : 1)
                    + (kernel == null ? 0 : 1)
                    + (flat == null ? 0 : 1)
                    + (guest == null ? 0 : 1);
            if (images > 1) {
                throw usage("only one of --firmware, --kernel, --flat and --guest can be given");
            }
            if (commandLine != null && kernel == null && guest == null) {
                throw usage("--append is for --kernel and --guest, and there is none");
            }
        }

        private void take(String option) throws RunFailure {
            switch (option) {
                case "--memory" -> memory = MemorySize.parse(value(option));
                case "--processors" -> processors = (int) number(option, 1, 255);
                case "--firmware" -> firmware = value(option);
                case "--kernel" -> kernel = value(option);
                case "--append" -> commandLine = value(option);
                case "--flat" -> flat = value(option);
                case "--address" -> flatAddress = number(option, 0, 0xffffffffL);
                case "--mode" -> flatMode = mode(value(option));
                case "--guest" -> guest = guest(value(option));
                case "--backend" -> backend = backend(value(option));
                case "--timeout" -> timeout = Duration.ofSeconds(number(option, 0, 10_000_000));
                case "--shell" -> shell = true;
                case "--version" -> version = true;
                default -> throw usage("there is no option '" + option + "'");
            }
        }

        private String value(String option) throws RunFailure {
            if (rest.isEmpty()) {
                throw usage("option " + option + " needs a value");
            }
            return rest.pop();
        }

        private long number(String option, long least, long most) throws RunFailure {
            String text = value(option);
            try {
                long number = Long.decode(text);
                if (number >= least && number <= most) {
                    return number;
                }
            } catch (NumberFormatException e) {
                // Said below.
            }
            throw usage("option " + option + " takes a number from " + least + " to " + most + ", not '" + text + "'");
        }

        private static BootSource.Mode mode(String text) throws RunFailure {
            for (BootSource.Mode mode : BootSource.Mode.values()) {
                if (mode.name().toLowerCase(Locale.ROOT).replace('_', '-').equals(text)) {
                    return mode;
                }
            }
            throw usage("option --mode takes real, protected, long or long-user, not '" + text + "'");
        }

        private static GuestProgram guest(String text) throws RunFailure {
            List<GuestProgram> programs = Arrays.stream(GuestProgram.values())
                    .filter(program -> program.mode() == GuestProgram.Mode.MULTIBOOT)
                    .toList();
            for (GuestProgram program : programs) {
                if (program.id().equals(text)) {
                    return program;
                }
            }
            throw usage("option --guest takes "
                    + programs.stream().map(GuestProgram::id).collect(Collectors.joining(", ")) + ", not '" + text
                    + "'");
        }

        /** A name is short for the filter that it is in. */
        private static String backend(String text) throws RunFailure {
            String filter = text.startsWith("(") ? text : "(" + PartitionBackend.NAME + "=" + text + ")";
            try {
                FrameworkUtil.createFilter(filter);
                return filter;
            } catch (InvalidSyntaxException e) {
                throw usage("option --backend takes a backend's name or an LDAP filter, not '" + text + "'");
            }
        }

        RunOptions options() {
            return new RunOptions(
                    memory,
                    processors,
                    firmware,
                    kernel,
                    commandLine == null ? "" : commandLine,
                    flat,
                    flatAddress,
                    flatMode,
                    guest,
                    backend,
                    timeout,
                    shell,
                    version);
        }
    }
}
