# What leaves this tree: exported symbols, installed files, CMake package, pkg-config file.

include(CMakePackageConfigHelpers)
option(TUTTI_INSTALL "Add the install rules" ${PROJECT_IS_TOP_LEVEL})

# Hidden visibility keeps our own internals in; the version script also keeps in what the standard
# library and fmt instantiate inside us with default visibility, so that no program ever binds to
# our copy of, say, a std::vector member. Our calls of our own functions go straight there, and not
# through a table in which a program could put another one.
target_link_options(tutti PRIVATE
  -Wl,-Bsymbolic-functions -Wl,--version-script=${PROJECT_SOURCE_DIR}/cmake/tutti.map)
set_property(TARGET tutti APPEND PROPERTY LINK_DEPENDS ${PROJECT_SOURCE_DIR}/cmake/tutti.map)
if(NOT TUTTI_SANITIZE)
  # Sanitizer run-times are resolved in the program, everything else in the library itself.
  target_link_options(tutti PRIVATE -Wl,-z,defs)
endif()

if(NOT TUTTI_INSTALL)
  return()
endif()

install(DIRECTORY ${PROJECT_SOURCE_DIR}/include/tutti DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}
        COMPONENT development FILES_MATCHING PATTERN "*.h")

# Two export sets: whoever links the shared library needs none of the static one's dependencies.
install(TARGETS tutti EXPORT TuttiTargets
        LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT runtime
                NAMELINK_COMPONENT development)
install(TARGETS tutti_static EXPORT TuttiStaticTargets
        ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT development)
set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/Tutti)
install(EXPORT TuttiTargets NAMESPACE Tutti:: DESTINATION ${package_dir} COMPONENT development)
install(EXPORT TuttiStaticTargets NAMESPACE Tutti:: DESTINATION ${package_dir}
        COMPONENT development)

configure_package_config_file(${PROJECT_SOURCE_DIR}/cmake/TuttiConfig.cmake.in
  ${PROJECT_BINARY_DIR}/cmake/TuttiConfig.cmake INSTALL_DESTINATION ${package_dir}
  NO_SET_AND_CHECK_MACRO)
# While the version is 0.x every minor version may change the ABI, as the SONAME says too.
write_basic_package_version_file(${PROJECT_BINARY_DIR}/cmake/TuttiConfigVersion.cmake
  VERSION ${PROJECT_VERSION} COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/cmake/TuttiConfig.cmake
              ${PROJECT_BINARY_DIR}/cmake/TuttiConfigVersion.cmake
        DESTINATION ${package_dir} COMPONENT development)

# The pkg-config file finds its prefix from where it lies, so that an installed tree can be moved.
set(pc_dir ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
file(RELATIVE_PATH pc_to_prefix /prefix/${pc_dir} /prefix)
string(REGEX REPLACE "/$" "" pc_to_prefix "${pc_to_prefix}")
configure_file(${PROJECT_SOURCE_DIR}/cmake/tutti.pc.in ${PROJECT_BINARY_DIR}/cmake/tutti.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/cmake/tutti.pc DESTINATION ${pc_dir} COMPONENT development)

# The command and the performance tests, with a run path that survives moving the tree.
if(TUTTI_BUILD_TOOLS)
  file(RELATIVE_PATH bin_to_lib /prefix/${CMAKE_INSTALL_BINDIR} /prefix/${CMAKE_INSTALL_LIBDIR})
  foreach(folder tools perf)
    get_property(targets DIRECTORY ${PROJECT_SOURCE_DIR}/${folder} PROPERTY BUILDSYSTEM_TARGETS)
    foreach(target IN LISTS targets)
      get_target_property(type ${target} TYPE)
      # Micro-benchmarks and the comparison program serve development only.
      if(NOT type STREQUAL EXECUTABLE OR target MATCHES "_bench$|^mpi_")
        continue()
      endif()
      set_target_properties(${target} PROPERTIES INSTALL_RPATH "$ORIGIN/${bin_to_lib}")
      install(TARGETS ${target} RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR} COMPONENT tools)
    endforeach()
  endforeach()
endif()
