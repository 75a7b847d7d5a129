/**
 * A small PC made from the rest of the API.
 */
@Export
@Version("0.1.0")
@NullMarked
package io.membacking.machine;

import org.jspecify.annotations.NullMarked;
import org.osgi.annotation.bundle.Export;
import org.osgi.annotation.versioning.Version;
