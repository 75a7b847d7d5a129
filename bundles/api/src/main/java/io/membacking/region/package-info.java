/**
 * Regions, the flat view they give, changes and the plans that carry them out, and the consumers a guest's memory is
 * attached to.
 */
@Export
@Version("0.1.0")
@NullMarked
package io.membacking.region;

import org.jspecify.annotations.NullMarked;
import org.osgi.annotation.bundle.Export;
import org.osgi.annotation.versioning.Version;
