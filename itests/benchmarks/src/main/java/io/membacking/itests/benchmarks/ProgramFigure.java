package io.membacking.itests.benchmarks;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * The other side, by a program that prints one line a row.
 *
 * @param program the compiled program
 * @param needs what makes it, for people
 * @param quickArguments when rough is enough
 * @param row a pattern whose one group is the figure
 * @param unit of what it prints, nanoseconds
 */
record ProgramFigure(
        Path program, String needs, List<String> arguments, List<String> quickArguments, Pattern row, double unit)
        implements Figure {
    @Override
    public String name() {
        return program.getFileName() + " " + String.join(" ", arguments);
    }

    @Override
    public double measure(boolean quick) throws NotMeasured, InterruptedException {
        if (!Files.isExecutable(program)) {
            throw new NotMeasured("no " + program + ": install " + needs + ", then make -C native bench");
        }
        List<String> command = new java.util.ArrayList<>(List.of(program.toString()));
        command.addAll(quick ? quickArguments : arguments);
        String output;
        int status;
        try {
            Process process =
                    new ProcessBuilder(command).redirectErrorStream(true).start();
            output = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
            status = process.waitFor();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
        Matcher matcher = row.matcher(output);
        if (status != 0 || !matcher.find()) {
            throw new NotMeasured(String.join(" ", command) + " ended with " + status + " and said: " + output.strip());
        }
        return Double.parseDouble(matcher.group(1)) * unit;
    }
}
