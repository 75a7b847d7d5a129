package io.membacking.partition.kvm;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.membacking.partition.contract.BackendRequirement;
import java.lang.reflect.Field;
import java.lang.reflect.Modifier;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestInfo;
import org.junit.jupiter.api.io.TempDir;

class KvmAbiTest {
    private static final String HEADERS = """
            #define _GNU_SOURCE
            #include <stddef.h>
            #include <stdio.h>
            #include <signal.h>
            #include <fcntl.h>
            #include <sys/ioctl.h>
            #include <sys/mman.h>
            #include <linux/kvm.h>
            """;

    @Test
    void everyNumberIsWhatTheCompilerMakesOfTheKernelsHeader(TestInfo test, @TempDir Path folder) throws Exception {
        BackendRequirement.require(
                Files.isExecutable(Path.of("/usr/bin/gcc")) && Files.exists(Path.of("/usr/include/linux/kvm.h")),
                test,
                "there is no /usr/bin/gcc or no linux/kvm.h: install gcc and linux-libc-dev");
        BackendRequirement.require(KvmDevice.isX86(), test, "the structures are those of x86-64: use such a host");
        List<Field> constants = new ArrayList<>();
        for (Field field : KvmAbi.class.getDeclaredFields()) {
            if (Modifier.isStatic(field.getModifiers())
                    && !Modifier.isPrivate(field.getModifiers())
                    && !field.isSynthetic()) {
                assertNotNull(field.getAnnotation(KvmAbi.C.class), () -> field.getName() + " names no C expression");
                constants.add(field);
            }
        }
        StringBuilder source = new StringBuilder(HEADERS).append("int main(void) {\n");
        for (Field field : constants) {
            KvmAbi.C c = field.getAnnotation(KvmAbi.C.class);
            source.append("#ifdef ").append(c.ifdef()).append('\n');
            source.append("printf(\"" + field.getName() + " %lld\\n\", (long long)(" + c.value() + "));\n");
            source.append("#endif\n");
        }
        source.append("return 0; }\n");
        Path program = folder.resolve("abi");
        Path file = Files.writeString(folder.resolve("abi.c"), source);
        output(new ProcessBuilder("/usr/bin/gcc", "-o", program.toString(), file.toString()));
        Map<String, Long> told = new TreeMap<>();
        output(new ProcessBuilder(program.toString())).lines().forEach(line -> {
            int space = line.indexOf(' ');
            told.put(line.substring(0, space), Long.parseLong(line.substring(space + 1)));
        });
        List<String> unknown = new ArrayList<>();
        for (Field field : constants) {
            Long expected = told.get(field.getName());
            if (expected == null) {
                unknown.add(field.getName());
            } else {
                assertEquals(expected, ((Number) field.get(null)).longValue(), field.getName());
            }
        }
        if (!unknown.isEmpty()) {
            System.err.println("NOT CONFIRMED, this header is too old for them: " + unknown);
        }
        assertTrue(told.size() > 100, "only " + told.size() + " were confirmed");
    }

    private static String output(ProcessBuilder command) throws Exception {
        Process process = command.redirectErrorStream(true).start();
        String text = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
        assertEquals(
                0, process.waitFor(), () -> command.command().stream().collect(Collectors.joining(" ")) + ": " + text);
        return text;
    }
}
