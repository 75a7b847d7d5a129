package io.membacking.itests.benchmarks;

import java.util.Collection;
import java.util.Map;
import org.openjdk.jmh.results.RunResult;
import org.openjdk.jmh.runner.Runner;
import org.openjdk.jmh.runner.RunnerException;
import org.openjdk.jmh.runner.options.ChainedOptionsBuilder;
import org.openjdk.jmh.runner.options.OptionsBuilder;
import org.openjdk.jmh.runner.options.TimeValue;
import org.openjdk.jmh.runner.options.VerboseMode;

/**
 * Ours, by JMH, in a JVM of its own: the median of the samples. The code is compiled in the foreground: with the processors taken by
 * others, warming up by the clock alone would end before the compiler has begun.
 *
 * @param method of the class
 * @param parameters of the benchmark, each with one value
 * @param operations in each sample
 */
record JmhFigure(Class<?> type, String method, Map<String, String> parameters, int operations) implements Figure {
    @Override
    public String name() {
        return type.getSimpleName() + "." + method + " " + parameters;
    }

    @Override
    public double measure(boolean quick) throws NotMeasured {
        ChainedOptionsBuilder options = new OptionsBuilder()
                .include("^" + type.getName().replace(".", "\\.") + "\\." + method + "$")
                .forks(1)
                .jvmArgsAppend("-Xbatch")
                .warmupIterations(3)
                .warmupTime(TimeValue.milliseconds(quick ? 200 : 400))
                .measurementIterations(3)
                .measurementTime(TimeValue.milliseconds(quick ? 150 : 400))
                .verbosity(VerboseMode.SILENT)
                .shouldFailOnError(true);
        parameters.forEach(options::param);
        Collection<RunResult> results;
        try {
            results = new Runner(options.build()).run();
        } catch (RunnerException e) {
            // The benchmark's own failure is told by JMH when it is run alone; of JMH's, the message is all there is.
            throw new NotMeasured(type.getSimpleName() + " failed (" + e.getMessage() + "); run it alone to see why:"
                    + " java -cp itests/benchmarks/target/benchmarks.jar org.openjdk.jmh.Main " + type.getSimpleName());
        }
        return results.iterator().next().getPrimaryResult().getStatistics().getPercentile(50) / operations;
    }
}
