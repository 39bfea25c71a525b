# Whether code for NVIDIA cards is built. FL_CUDA_BUILT tells; nothing else of the project needs CUDA.
set(FL_CUDA AUTO CACHE STRING "Build what runs on NVIDIA cards: AUTO (where nvcc is there), ON or OFF")
set_property(CACHE FL_CUDA PROPERTY STRINGS AUTO ON OFF)
set(fl_cuda_least 12.0) # __int128 in kernels, sm_90
set(CMAKE_CUDA_ARCHITECTURES 75-real 80-real 90) # and PTX for what is newer

set(FL_CUDA_BUILT OFF)
set(fl_cuda_why "FL_CUDA is OFF")
if(NOT FL_CUDA MATCHES "^(AUTO|ON|OFF)$")
  message(FATAL_ERROR "FL_CUDA is \"${FL_CUDA}\"; it must be AUTO, ON or OFF")
elseif(FL_CUDA STREQUAL "AUTO" AND FL_SANITIZE)
  set(fl_cuda_why "this is a build with sanitizers, which know nothing of cards; the emulator runs the same kernels")
elseif(NOT FL_CUDA STREQUAL "OFF")
  include(CheckLanguage)
  check_language(CUDA)
  if(CMAKE_CUDA_COMPILER)
    enable_language(CUDA)
    if(CMAKE_CUDA_COMPILER_VERSION VERSION_LESS fl_cuda_least)
      set(fl_cuda_why "${CMAKE_CUDA_COMPILER} is of CUDA ${CMAKE_CUDA_COMPILER_VERSION}, and ${fl_cuda_least} is the least")
    else()
      set(FL_CUDA_BUILT ON)
    endif()
  else()
    set(fl_cuda_why "there is no nvcc on PATH nor in CUDACXX")
  endif()
endif()

if(FL_CUDA_BUILT)
  message(STATUS "CUDA: kernels are built with ${CMAKE_CUDA_COMPILER} ${CMAKE_CUDA_COMPILER_VERSION}")
elseif(FL_CUDA STREQUAL "ON")
  message(FATAL_ERROR "FL_CUDA is ON, but ${fl_cuda_why}. Install NVIDIA's CUDA toolkit ${fl_cuda_least} or newer "
                      "(its compiler, runtime and cuBLAS; no driver is needed to build) and put nvcc on PATH, or "
                      "leave FL_CUDA at AUTO to build without it.")
else()
  message(STATUS "CUDA: left out, as ${fl_cuda_why}; everything else is built")
endif()

# fl_cuda_target(TARGET): a target's .cu files are compiled for cards under the project's rules: warnings are errors,
# a register that spills to memory is one, no multiply-add is fused and nothing is approximated.
function(fl_cuda_target target)
  target_include_directories(${target} PUBLIC "${PROJECT_SOURCE_DIR}")
  target_compile_options(${target} PRIVATE "$<$<COMPILE_LANGUAGE:CUDA>:-O3;-fmad=false;-ftz=false;-prec-div=true;-prec-sqrt=true;SHELL:-Werror all-warnings;SHELL:-Xptxas --warn-on-spills,--warning-as-error;SHELL:-Xcompiler -Wall$<COMMA>-Wextra$<COMMA>-Werror$<COMMA>-ffp-contract=off$<COMMA>-fno-fast-math$<COMMA>-fstack-protector-strong>")
  set_target_properties(${target} PROPERTIES POSITION_INDEPENDENT_CODE ON CUDA_STANDARD 17 CUDA_STANDARD_REQUIRED ON
                        CUDA_VISIBILITY_PRESET hidden CUDA_RUNTIME_LIBRARY Static)
endfunction()
