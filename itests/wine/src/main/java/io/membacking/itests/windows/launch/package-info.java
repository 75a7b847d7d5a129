/** Starts Felix and runs the tests of this bundle in it; lives on the class path of the JVM, never inside the container. */
@NullMarked
package io.membacking.itests.windows.launch;

import org.jspecify.annotations.NullMarked;
