package io.membacking.app;

import java.util.ArrayList;
import java.util.List;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.osgi.service.component.runtime.ServiceComponentRuntime;
import org.osgi.service.component.runtime.dto.ComponentConfigurationDTO;
import org.osgi.service.component.runtime.dto.ComponentDescriptionDTO;

/** The components that wait for something or failed to activate, one line for each. */
record UnsatisfiedComponents(List<String> lines) {
    static UnsatisfiedComponents in(ServiceComponentRuntime runtime) {
        List<String> lines = new ArrayList<>();
        for (ComponentDescriptionDTO component : runtime.getComponentDescriptionDTOs()) {
            for (ComponentConfigurationDTO configuration : runtime.getComponentConfigurationDTOs(component)) {
                if (!reasons(configuration).isEmpty()) {
                    lines.add(component.name + " of " + component.bundle.symbolicName + " " + reasons(configuration));
                }
            }
        }
        return new UnsatisfiedComponents(lines);
    }

    String explain() {
        return lines.isEmpty()
                ? "No component is unsatisfied."
                : lines.stream().collect(Collectors.joining("\n  ", "Waiting:\n  ", ""));
    }

    private static String reasons(ComponentConfigurationDTO configuration) {
        return switch (configuration.state) {
            case ComponentConfigurationDTO.UNSATISFIED_REFERENCE ->
                Stream.of(configuration.unsatisfiedReferences)
                        .map(reference -> reference.target == null ? reference.name : reference.name + reference.target)
                        .collect(Collectors.joining(", ", "waits for ", ""));
            case ComponentConfigurationDTO.UNSATISFIED_CONFIGURATION -> "waits for its configuration";
            case ComponentConfigurationDTO.FAILED_ACTIVATION ->
                "failed: "
                        + String.valueOf(configuration.failure)
                                .lines()
                                .findFirst()
                                .orElse("");
            default -> "";
        };
    }
}
