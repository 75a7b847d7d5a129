/**
 * What tests inside a container share: waiting for services and components with an explanation when they do not come, and
 * counting what a test leaves behind. Nothing here knows a container; their options live with their tests.
 */
@Export
@Version("0.1.0")
@NullMarked
package io.membacking.itests.support;

import org.jspecify.annotations.NullMarked;
import org.osgi.annotation.bundle.Export;
import org.osgi.annotation.versioning.Version;
