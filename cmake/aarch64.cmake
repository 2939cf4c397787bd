# Cross-compiling for arm64 with Debian's gcc-aarch64-linux-gnu. What the stack is built on comes from a folder of arm64
# packages, TIMS_SYSROOT, which tools/build-arm64 fills; programs run under qemu-user.
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR aarch64)
set(CMAKE_C_COMPILER aarch64-linux-gnu-gcc)
set(CMAKE_TRY_COMPILE_PLATFORM_VARIABLES TIMS_SYSROOT)
set(CMAKE_SYSROOT ${TIMS_SYSROOT})
set(CMAKE_LIBRARY_ARCHITECTURE aarch64-linux-gnu)
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_INCLUDE ONLY)
set(ENV{PKG_CONFIG_SYSROOT_DIR} ${TIMS_SYSROOT})
set(ENV{PKG_CONFIG_LIBDIR} ${TIMS_SYSROOT}/usr/lib/aarch64-linux-gnu/pkgconfig:${TIMS_SYSROOT}/usr/share/pkgconfig)
set(CMAKE_CROSSCOMPILING_EMULATOR qemu-aarch64 -L ${TIMS_SYSROOT})
