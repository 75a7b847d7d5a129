/**
 * Reading and writing guest memory by guest-physical address, checked, from any thread.
 */
@Export
@Version("0.1.0")
@NullMarked
package io.membacking.access;

import org.jspecify.annotations.NullMarked;
import org.osgi.annotation.bundle.Export;
import org.osgi.annotation.versioning.Version;
