# Libraries, headers, command, pkg-config and CMake package files.
include(CMakePackageConfigHelpers)

set_property(DIRECTORY ${PROJECT_SOURCE_DIR} APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS cmake/public_headers.txt)
file(STRINGS ${PROJECT_SOURCE_DIR}/cmake/public_headers.txt WEIR_PUBLIC_HEADERS REGEX "^[^#]")
foreach(header IN LISTS WEIR_PUBLIC_HEADERS)
  if(header MATCHES "/mpi[.]h$" AND NOT WEIR_HAVE_MPI)
    continue()
  endif()
  install(FILES ${PROJECT_SOURCE_DIR}/${header} DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/weir)
endforeach()

install(TARGETS weir RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
install(TARGETS libweir ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
if(TARGET libweir_shared)
  install(TARGETS libweir_shared LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
endif()

if(TARGET weir_cuda_plugin) # beside libweir.so, where libweir looks for it
  install(TARGETS weir_cuda_plugin LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
endif()

# What a static libweir needs at link time, as plain linker words (both package files use it).
set(WEIR_LINK_WORDS "-ljansson -lxxhash -lz -lpthread -ldl -lm")
if(WEIR_HAVE_ONEDNN)
  string(APPEND WEIR_LINK_WORDS " -ldnnl")
endif()
if(WEIR_HAVE_OPENMP)
  string(APPEND WEIR_LINK_WORDS " -lgomp")
endif()
if(WEIR_HAVE_HWLOC)
  string(APPEND WEIR_LINK_WORDS " -lhwloc")
endif()
if(WEIR_HAVE_MPI)
  foreach(folder IN LISTS mpi_pc_LIBRARY_DIRS)
    string(APPEND WEIR_LINK_WORDS " -L${folder}")
  endforeach()
  foreach(library IN LISTS mpi_pc_LIBRARIES)
    string(APPEND WEIR_LINK_WORDS " -l${library}")
  endforeach()
endif()
string(REPLACE " " ";" WEIR_LINK_LIST "${WEIR_LINK_WORDS}")

# The installed tree can be moved: weir.pc finds its prefix from where it lies.
file(RELATIVE_PATH WEIR_PC_PREFIX /${CMAKE_INSTALL_LIBDIR}/pkgconfig /)

# weir takes libweir.so where it lies beside libweir.a, weir-static takes libweir.a in any case
set(WEIR_PC_LIBS "-lweir")
configure_file(${CMAKE_CURRENT_LIST_DIR}/weir.pc.in ${PROJECT_BINARY_DIR}/generated/weir.pc @ONLY)
set(WEIR_PC_LIBS "-l:libweir.a ${WEIR_LINK_WORDS}")
configure_file(${CMAKE_CURRENT_LIST_DIR}/weir.pc.in ${PROJECT_BINARY_DIR}/generated/weir-static.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/generated/weir.pc ${PROJECT_BINARY_DIR}/generated/weir-static.pc
  DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
configure_package_config_file(${CMAKE_CURRENT_LIST_DIR}/weirConfig.cmake.in ${PROJECT_BINARY_DIR}/generated/weirConfig.cmake
  PATH_VARS CMAKE_INSTALL_INCLUDEDIR CMAKE_INSTALL_LIBDIR
  INSTALL_DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/weir)
write_basic_package_version_file(${PROJECT_BINARY_DIR}/generated/weirConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/generated/weirConfig.cmake ${PROJECT_BINARY_DIR}/generated/weirConfigVersion.cmake
  DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/weir)

# Man pages: the command knows its options, so it writes them.
if(NOT CMAKE_CROSSCOMPILING)
  add_custom_command(OUTPUT ${PROJECT_BINARY_DIR}/man/stamp DEPENDS weir ${CMAKE_CURRENT_LIST_DIR}/man_pages.cmake
    COMMAND ${CMAKE_COMMAND} -DWEIR=$<TARGET_FILE:weir> -DFOLDER=${PROJECT_BINARY_DIR}/man
      -P ${CMAKE_CURRENT_LIST_DIR}/man_pages.cmake
    COMMAND ${CMAKE_COMMAND} -E touch ${PROJECT_BINARY_DIR}/man/stamp VERBATIM)
  add_custom_target(man ALL DEPENDS ${PROJECT_BINARY_DIR}/man/stamp)
  install(DIRECTORY ${PROJECT_BINARY_DIR}/man/ DESTINATION ${CMAKE_INSTALL_MANDIR}/man1 FILES_MATCHING PATTERN "*.1")
endif()
