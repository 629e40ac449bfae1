# The peers' programs, one for each library that is found.
add_custom_target(compare DEPENDS compare_tutti compare_limits compare_sockets)
set(TUTTI_PEERS ${PROJECT_BINARY_DIR}/peers CACHE PATH
  "Where scripts/compare --prepare puts peers that the system's packages lack")

# compare_peer(gloo peer_gloo.cpp LIBRARIES x): the program compare_gloo, built by `compare`.
function(compare_peer name source)
  cmake_parse_arguments(ARG "" "" "LIBRARIES;INCLUDES;OPTIONS;LINK_OPTIONS" ${ARGN})
  add_executable(compare_${name} EXCLUDE_FROM_ALL ${source})
  # Warnings in a peer's headers are not ours to mend.
  target_include_directories(compare_${name} SYSTEM PRIVATE ${ARG_INCLUDES})
  target_compile_options(compare_${name} PRIVATE ${ARG_OPTIONS})
  target_link_options(compare_${name} PRIVATE ${ARG_LINK_OPTIONS})
  target_link_libraries(compare_${name} PRIVATE tutti_compare ${ARG_LIBRARIES} Threads::Threads)
  add_dependencies(compare compare_${name})
endfunction()

# compare_mpi(openmpi mpicxx.openmpi): an MPI, by what its wrapper compiler says. find_package(MPI)
# knows one MPI only, which is that of the rest of the build.
function(compare_mpi name wrapper)
  find_program(TUTTI_WRAPPER_${name} ${wrapper} NO_CACHE)
  if(NOT TUTTI_WRAPPER_${name})
    return()
  endif()
  execute_process(COMMAND ${TUTTI_WRAPPER_${name}} -show OUTPUT_VARIABLE words
    OUTPUT_STRIP_TRAILING_WHITESPACE COMMAND_ERROR_IS_FATAL ANY)
  separate_arguments(words UNIX_COMMAND "${words}")
  set(includes ${words})
  list(FILTER includes INCLUDE REGEX "^-I")
  list(TRANSFORM includes REPLACE "^-I" "")
  list(FILTER words INCLUDE REGEX "^-(L|l|Wl,-rpath|Wl,/)")
  # The interface of C is all that is used.
  list(FILTER words EXCLUDE REGEX "^-l(mpi_cxx|mpichcxx)$")
  compare_peer(${name} peer_mpi.cpp INCLUDES ${includes} LIBRARIES ${words}
    OPTIONS -DOMPI_SKIP_MPICXX -DMPICH_SKIP_MPICXX)
endfunction()

compare_mpi(openmpi mpicxx.openmpi)
compare_mpi(mpich mpicxx.mpich)
compare_mpi(openmpi_newest ${TUTTI_PEERS}/openmpi/bin/mpicxx)
compare_mpi(mpich_newest ${TUTTI_PEERS}/mpich/bin/mpicxx)

find_package(Gloo QUIET)
if(Gloo_FOUND)
  compare_peer(gloo peer_gloo.cpp LIBRARIES gloo)
endif()

# oneCCL, and Intel MPI, which it brings along. The latter's wrapper compiler and header do not come
# with it: any MPICH's header will do, since they have one binary interface.
find_path(TUTTI_ONECCL_INCLUDE oneapi/ccl.hpp PATHS ${TUTTI_PEERS}/oneccl/include NO_CACHE)
set(pip_libraries ${TUTTI_PEERS}/oneccl/lib)
if(TUTTI_ONECCL_INCLUDE AND EXISTS ${pip_libraries}/libccl.so.1)
  compare_peer(oneccl peer_oneccl.cpp INCLUDES ${TUTTI_ONECCL_INCLUDE}
    LIBRARIES ${pip_libraries}/libccl.so.1
    # It is loaded with all that it needs by LD_LIBRARY_PATH, as its setvars.sh has it.
    LINK_OPTIONS -Wl,--allow-shlib-undefined,-rpath-link,${pip_libraries})
endif()
if(EXISTS ${pip_libraries}/libmpi.so.12 AND EXISTS ${TUTTI_PEERS}/mpich/include/mpi.h)
  compare_peer(intelmpi peer_mpi.cpp INCLUDES ${TUTTI_PEERS}/mpich/include
    LIBRARIES ${pip_libraries}/libmpi.so.12 OPTIONS -DMPICH_SKIP_MPICXX)
endif()

find_package(CUDAToolkit QUIET)
find_path(TUTTI_NCCL_INCLUDE nccl.h HINTS ${CUDAToolkit_INCLUDE_DIRS} NO_CACHE)
find_library(TUTTI_NCCL nccl HINTS ${CUDAToolkit_LIBRARY_DIR} NO_CACHE)
if(CUDAToolkit_FOUND AND TUTTI_NCCL_INCLUDE AND TUTTI_NCCL)
  compare_peer(nccl peer_nccl.cpp INCLUDES ${TUTTI_NCCL_INCLUDE}
    LIBRARIES CUDA::cudart ${TUTTI_NCCL})
endif()
