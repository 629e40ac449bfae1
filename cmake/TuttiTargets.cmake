# How this project's targets are built: flags, one object library per layer, tests.

# A newer compiler's new warning must not stop a project that merely uses Tutti.
option(TUTTI_WERROR "Treat warnings as errors" ${PROJECT_IS_TOP_LEVEL})
add_library(tutti_flags INTERFACE)
target_compile_features(tutti_flags INTERFACE cxx_std_20)
target_compile_options(tutti_flags INTERFACE
  -Wall -Wextra -Wconversion -fvisibility=hidden
  $<$<COMPILE_LANGUAGE:CXX>:-fvisibility-inlines-hidden>)
if(TUTTI_WERROR)
  target_compile_options(tutti_flags INTERFACE -Werror)
endif()
if(TUTTI_SANITIZE)
  # Those of the folder come before those of a target, which can then take some of it back. vptr and
  # function need clang's runtime for C++, which its programs in C are linked without.
  add_compile_options(-fsanitize=${TUTTI_SANITIZE} -fno-omit-frame-pointer
    -fno-sanitize-recover=all $<$<CXX_COMPILER_ID:Clang>:-fno-sanitize=vptr,function>)
  add_link_options(-fsanitize=${TUTTI_SANITIZE})
  target_compile_definitions(tutti_flags INTERFACE TUTTI_SANITIZE="${TUTTI_SANITIZE}")
endif()

# Two thirds of what a source costs to compile are fmt's and the standard library's headers: they
# are compiled once. That each source and header includes what it needs shows where Tutti is part of
# another project, which the test install/add_subdirectory is.
if(PROJECT_IS_TOP_LEVEL)
  file(CONFIGURE OUTPUT ${PROJECT_BINARY_DIR}/layer_headers.cpp CONTENT "")
  add_library(tutti_layer_headers OBJECT ${PROJECT_BINARY_DIR}/layer_headers.cpp)
  set_target_properties(tutti_layer_headers PROPERTIES POSITION_INDEPENDENT_CODE ON)
  target_link_libraries(tutti_layer_headers PRIVATE tutti_flags fmt::fmt)
  target_precompile_headers(tutti_layer_headers PRIVATE <fmt/format.h> <algorithm> <array> <atomic>
    <functional> <map> <memory> <mutex> <optional> <span> <string> <vector>)
endif()

# tutti_layer(plan SOURCES a.cpp b.cpp LAYERS base): the object library tutti_plan. LAYERS are the
# layers that it may use, as docs/ARCHITECTURE.md draws them. FOR_PROGRAMS keeps it, and what it
# links, out of the library.
function(tutti_layer name)
  cmake_parse_arguments(ARG "FOR_PROGRAMS" "" "SOURCES;LAYERS;LIBRARIES" ${ARGN})
  add_library(tutti_${name} OBJECT ${ARG_SOURCES})
  set_target_properties(tutti_${name} PROPERTIES POSITION_INDEPENDENT_CODE ON)
  target_include_directories(tutti_${name} PUBLIC
    ${PROJECT_SOURCE_DIR}/include ${PROJECT_SOURCE_DIR}/src)
  list(TRANSFORM ARG_LAYERS PREPEND tutti_)
  target_link_libraries(tutti_${name} PUBLIC tutti_flags ${ARG_LAYERS} ${ARG_LIBRARIES})
  if(NOT ARG_FOR_PROGRAMS)
    set_property(GLOBAL APPEND PROPERTY TUTTI_LAYERS tutti_${name})
    if(TARGET tutti_layer_headers)
      target_precompile_headers(tutti_${name} REUSE_FROM tutti_layer_headers)
    endif()
  endif()
endfunction()

# Every object of the library, for tests of internals (object libraries do not link transitively).
function(tutti_link_internals target)
  get_property(layers GLOBAL PROPERTY TUTTI_LAYERS)
  foreach(layer IN LISTS layers)
    target_link_libraries(${target} PRIVATE ${layer})
  endforeach()
  target_link_libraries(${target} PRIVATE Threads::Threads fmt::fmt hwy::hwy)
endfunction()

# Half of what a test costs to compile is GoogleTest's headers: they are compiled once. Tests spend
# their time in the library's objects, so their own code is optimised only a little (at which g++ 12
# sees overruns in std::string that are not there).
if(TUTTI_BUILD_TESTS)
  find_package(GTest REQUIRED)
  set(tutti_test_options $<$<CONFIG:Release>:-O1>
      $<$<CXX_COMPILER_ID:GNU>:-Wno-array-bounds;-Wno-stringop-overflow>)
  file(CONFIGURE OUTPUT ${PROJECT_BINARY_DIR}/test_headers.cpp CONTENT "")
  add_library(tutti_test_headers OBJECT ${PROJECT_BINARY_DIR}/test_headers.cpp)
  target_link_libraries(tutti_test_headers PRIVATE tutti_flags GTest::gmock)
  target_compile_options(tutti_test_headers PRIVATE ${tutti_test_options})
  target_precompile_headers(tutti_test_headers PRIVATE <gmock/gmock.h> <gtest/gtest.h>)
endif()

# tutti_test_code(target): how the code of a test is compiled.
function(tutti_test_code target)
  target_compile_options(${target} PRIVATE ${tutti_test_options})
  target_precompile_headers(${target} REUSE_FROM tutti_test_headers)
endfunction()

# tutti_test(plan/partition_test LAYERS base plan [LIBRARIES x]): builds the test of that name in
# tests/ against the objects of those layers alone and registers one ctest. More SOURCES may follow.
function(tutti_test path)
  cmake_parse_arguments(ARG "" "TIMEOUT" "LAYERS;LIBRARIES;SOURCES;LABELS" ${ARGN})
  string(REPLACE "/" "_" name ${path})
  add_executable(${name} ${PROJECT_SOURCE_DIR}/tests/${path}.cpp ${ARG_SOURCES})
  tutti_test_code(${name})
  target_include_directories(${name} PRIVATE ${PROJECT_SOURCE_DIR}/tests)
  target_link_libraries(${name} PRIVATE tutti_flags GTest::gtest_main GTest::gmock ${ARG_LIBRARIES}
    Threads::Threads fmt::fmt hwy::hwy)
  foreach(layer IN LISTS ARG_LAYERS)
    target_link_libraries(${name} PRIVATE tutti_${layer})
  endforeach()
  add_test(NAME ${path} COMMAND ${name})
  if(NOT ARG_TIMEOUT)
    set(ARG_TIMEOUT 300)  # of which a loaded machine under a sanitizer needs half
  endif()
  set_tests_properties(${path} PROPERTIES TIMEOUT ${ARG_TIMEOUT} LABELS "${ARG_LABELS}")
endfunction()
