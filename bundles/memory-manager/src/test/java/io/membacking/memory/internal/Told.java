package io.membacking.memory.internal;

import io.membacking.inspect.Inspectable;
import io.membacking.inspect.Inspection;
import io.membacking.inspect.Sensitivity;
import java.util.Map;
import java.util.TreeMap;
import java.util.function.Consumer;

/** What an inspectable tells, as paths and texts; what is sensitive has a {@code !} in front. */
final class Told implements Inspection {
    private final Map<String, String> told;
    private final String path;
    private boolean sensitive;

    private Told(Map<String, String> told, String path) {
        this.told = told;
        this.path = path;
    }

    static Map<String, String> by(Inspectable inspectable) {
        Map<String, String> told = new TreeMap<>();
        inspectable.inspect(new Told(told, ""));
        return told;
    }

    @Override
    public Inspection text(String name, String value) {
        String before = told.put(path + name, (sensitive ? "!" : "") + value);
        if (before != null) {
            throw new AssertionError(path + name + " is told twice");
        }
        return this;
    }

    @Override
    public Inspection number(String name, long value) {
        return text(name, Long.toString(value));
    }

    @Override
    public Inspection hex(String name, long value) {
        return text(name, "0x" + Long.toHexString(value));
    }

    @Override
    public Inspection bool(String name, boolean value) {
        return text(name, Boolean.toString(value));
    }

    @Override
    public Inspection counter(String name, long value) {
        return number(name, value);
    }

    @Override
    public Inspection hostAddress(String name, long value) {
        return text(name, "!0x" + Long.toHexString(value));
    }

    @Override
    public Inspection settable(String name, String value, Consumer<String> setter) {
        return text(name, value);
    }

    @Override
    public Inspection child(String name, Consumer<Inspection> children) {
        children.accept(new Told(told, path + name + "/"));
        return this;
    }

    @Override
    public Inspection sensitivity(Sensitivity sensitivity) {
        sensitive = sensitivity == Sensitivity.SENSITIVE;
        return this;
    }
}
