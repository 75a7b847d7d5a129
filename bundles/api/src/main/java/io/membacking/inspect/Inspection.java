package io.membacking.inspect;

import java.util.function.Consumer;

/** What an {@link Inspectable} tells its state to. Good during the call alone; calls return the same object. */
public interface Inspection {
    Inspection text(String name, String value);

    Inspection number(String name, long value);

    /** A number shown in hexadecimal: guest addresses, flags. */
    Inspection hex(String name, long value);

    Inspection bool(String name, boolean value);

    /** A number that only grows, shown as a rate when asked over an interval. */
    Inspection counter(String name, long value);

    /** A host address; {@link Sensitivity#SENSITIVE}. */
    Inspection hostAddress(String name, long value);

    /** A value that can be set. @param setter takes the new text; throws {@link IllegalArgumentException} to refuse it */
    Inspection settable(String name, String value, Consumer<String> setter);

    /** A directory; entered only if the query goes so deep. Names are natural-sorted when shown. */
    Inspection child(String name, Consumer<Inspection> children);

    /** What is told from here on, in this node, has this sensitivity. */
    Inspection sensitivity(Sensitivity sensitivity);
}
