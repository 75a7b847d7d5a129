/**
 * The VA space of a guest: what it holds, who reads it, and the transition that lets a change pass readers safely.
 */
@Export
@Version("0.1.0")
@NullMarked
package io.membacking.mapping;

import org.jspecify.annotations.NullMarked;
import org.osgi.annotation.bundle.Export;
import org.osgi.annotation.versioning.Version;
