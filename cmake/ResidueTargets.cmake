# One place for what every library, program and test of the project has in common.

set(CMAKE_C_STANDARD 17)
set(CMAKE_C_EXTENSIONS ON)
set(CMAKE_C_STANDARD_REQUIRED ON)
set(CMAKE_CXX_STANDARD 17) # only .cu files in the emulator, which only tests use
set(CMAKE_CXX_EXTENSIONS ON)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/bin")
find_package(PkgConfig REQUIRED)
find_package(Threads REQUIRED)

# Exactness (rule R8): no fused multiply-add, no value-changing optimisation anywhere.
add_compile_options("$<$<COMPILE_LANGUAGE:C,CXX>:-Wall;-Wextra;-Wshadow;-Wpointer-arith;-Wvla;-Wundef;-Werror;-ffp-contract=off;-fno-fast-math;-fstack-protector-strong>"
                    "$<$<COMPILE_LANGUAGE:C>:-Wstrict-prototypes;-Wmissing-prototypes>")
add_compile_definitions(_GNU_SOURCE FL_VERSION="${PROJECT_VERSION}")
set(FL_SANITIZE "" CACHE STRING "Sanitizers to build with, e.g. address,undefined or thread")
if(FL_SANITIZE)
  add_compile_options("$<$<COMPILE_LANGUAGE:C,CXX>:-fsanitize=${FL_SANITIZE};-fno-sanitize-recover=all;-fno-omit-frame-pointer>")
  add_link_options(-fsanitize=${FL_SANITIZE})
endif()

# fl_library(NAME LINKS ...): static library fl_NAME from every .c file of the current folder. Headers are
# included as "folder/name.h" from the top, and only folders that are linked should be included.
function(fl_library name)
  cmake_parse_arguments(ARG "" "" "LINKS;PRIVATE_LINKS" ${ARGN})
  file(GLOB sources CONFIGURE_DEPENDS "${CMAKE_CURRENT_SOURCE_DIR}/*.c")
  list(FILTER sources EXCLUDE REGEX "/main\\.c$")
  add_library(fl_${name} STATIC ${sources})
  target_include_directories(fl_${name} PUBLIC "${PROJECT_SOURCE_DIR}")
  target_link_libraries(fl_${name} PUBLIC ${ARG_LINKS} PRIVATE ${ARG_PRIVATE_LINKS})
endfunction()

# fl_test(NAME LINKS ...): cmocka test program test_NAME from test_NAME.c, run by ctest as NAME.
function(fl_test name)
  cmake_parse_arguments(ARG "" "" "LINKS" ${ARGN})
  add_executable(test_${name} test_${name}.c)
  target_link_libraries(test_${name} PRIVATE ${ARG_LINKS} fl_test_support)
  add_test(NAME ${name} COMMAND test_${name})
  set_tests_properties(${name} PROPERTIES TIMEOUT 300)
endfunction()

# fl_emu_sources(FILE ...): the .cu files of the current folder are compiled as C++ for the emulator; link fl_emu.
function(fl_emu_sources)
  set_source_files_properties(${ARGN} PROPERTIES LANGUAGE CXX)
endfunction()

# fl_emu_test(NAME SOURCES FILE.cu ... LINKS ...): as fl_test, with .cu files in the emulator and the label emu.
function(fl_emu_test name)
  cmake_parse_arguments(ARG "" "" "SOURCES;LINKS" ${ARGN})
  fl_test(${name} LINKS ${ARG_LINKS} fl_emu)
  fl_emu_sources(${ARG_SOURCES})
  target_sources(test_${name} PRIVATE ${ARG_SOURCES})
  set_tests_properties(${name} PROPERTIES LABELS emu)
  add_dependencies(emu_tests test_${name})
endfunction()
