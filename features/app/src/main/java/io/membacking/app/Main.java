package io.membacking.app;

import java.net.URL;
import java.net.URLClassLoader;

/**
 * {@code java -jar membacking.jar}: runs the {@link Launcher} in a class loader that has everything of this jar and of the JDK
 * but {@code sun.misc.Unsafe}.
 *
 * <p>Felix 7.0.5 uses that class to get at the JDK's URL handlers, and plain reflection where it is missing, which this jar's
 * manifest allows. From JDK 24 on the attempt alone prints four lines of warnings into what the user reads, which nothing but an
 * option of the command line turns off.
 */
public final class Main {
    private Main() {}

    public static void main(String[] arguments) throws ReflectiveOperationException {
        URL jar = Main.class.getProtectionDomain().getCodeSource().getLocation();
        // Never closed: it lives as long as the JVM.
        ClassLoader loader = new WithoutUnsafe(jar);
        Thread.currentThread().setContextClassLoader(loader);
        loader.loadClass("io.membacking.app.Launcher")
                .getMethod("main", String[].class)
                .invoke(null, (Object) arguments);
    }

    private static final class WithoutUnsafe extends URLClassLoader {
        WithoutUnsafe(URL jar) {
            super(new URL[] {jar}, ClassLoader.getPlatformClassLoader());
        }

        @Override
        protected Class<?> loadClass(String name, boolean resolve) throws ClassNotFoundException {
            if (name.equals("sun.misc.Unsafe")) {
                throw new ClassNotFoundException(name);
            }
            return super.loadClass(name, resolve);
        }
    }
}
