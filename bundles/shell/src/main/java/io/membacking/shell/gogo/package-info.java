/** The commands in Gogo, scope {@code membacking}. Offered only where Karaf's shell is not. */
@NullMarked
package io.membacking.shell.gogo;

import org.jspecify.annotations.NullMarked;
