package io.membacking.memory.internal;

import java.lang.reflect.Proxy;
import java.util.Map;

/** Configurations as the component runtime gives them: defaults, but for what is set. */
final class Configurations {
    private Configurations() {}

    static GuestConfig of(String name, Map<String, Object> settings) {
        return (GuestConfig) Proxy.newProxyInstance(
                GuestConfig.class.getClassLoader(),
                new Class<?>[] {GuestConfig.class},
                (proxy, method, arguments) -> method.getName().equals("name")
                        ? name
                        : settings.getOrDefault(method.getName(), method.getDefaultValue()));
    }
}
