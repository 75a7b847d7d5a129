/** The commands in Karaf, scope {@code membacking}, with completion. Found by Karaf through the bundle's manifest. */
@NullMarked
package io.membacking.shell.karaf;

import org.jspecify.annotations.NullMarked;
