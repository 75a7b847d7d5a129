/**
 * The sealed checked family for what the world can do wrong, and the unchecked exception for guest memory access.
 *
 * <p>One package, because a sealed class cannot permit subclasses of another package outside a named module.
 */
@Export
@Version("0.1.0")
@NullMarked
package io.membacking.error;

import org.jspecify.annotations.NullMarked;
import org.osgi.annotation.bundle.Export;
import org.osgi.annotation.versioning.Version;
