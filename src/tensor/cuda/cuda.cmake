# cuda.cmake - the cuda backend as a library of its own, hone_cuda, that belongs to the room tensor: compiled by nvcc where one is found that works, else none.c alone.
# HONE_CUDA: AUTO (take nvcc if it is there), ON (fail without), OFF. HONE_CUDA_ARCHS: the cards to build code for; of the newest its PTX as well, for those to come.
# nvcc is CMAKE_CUDA_COMPILER, $CUDACXX, or the one in the path or in /usr/local/cuda. It is called by rules of our own, so that neither flags nor linker nor compiler cache of C
# have to know it. The program starts without a driver: the runtime is linked statically and looks for the driver when it is first asked.
set(HONE_CUDA AUTO CACHE STRING "build for NVIDIA cards: AUTO, ON or OFF")
set_property(CACHE HONE_CUDA PROPERTY STRINGS AUTO ON OFF)
set(HONE_CUDA_ARCHS "80;86;89;90a;100;120" CACHE STRING "compute capabilities to build code for")
set(cuda_dir ${CMAKE_SOURCE_DIR}/src/tensor/cuda)

# What the ledger says of each source is part of the program.
set(cuda_generated ${CMAKE_BINARY_DIR}/generated)
file(GLOB cuda_sources CONFIGURE_DEPENDS ${cuda_dir}/*.cu)
file(GLOB cuda_headers CONFIGURE_DEPENDS ${cuda_dir}/*.cuh ${cuda_dir}/*.h)
add_custom_command(OUTPUT ${cuda_generated}/tensor/cuda/verified.h
    COMMAND ${CMAKE_COMMAND} -E make_directory ${cuda_generated}/tensor/cuda
    COMMAND ${CMAKE_SOURCE_DIR}/tools/cuda_ledger.sh header ${cuda_generated}/tensor/cuda/verified.h
    DEPENDS ${cuda_sources} ${cuda_headers} ${cuda_dir}/verified.tsv ${CMAKE_SOURCE_DIR}/tools/cuda_ledger.sh VERBATIM)
add_custom_target(cuda_verified DEPENDS ${cuda_generated}/tensor/cuda/verified.h)

set(nvcc OFF)
if(NOT HONE_CUDA STREQUAL "OFF" AND NOT HONE_ASAN AND NOT HONE_TSAN AND NOT HONE_FUZZ)
    if(CMAKE_CUDA_COMPILER)
        set(nvcc ${CMAKE_CUDA_COMPILER})
    elseif(DEFINED ENV{CUDACXX})
        set(nvcc $ENV{CUDACXX})
    else()
        find_program(HONE_NVCC nvcc PATHS /usr/local/cuda/bin)
        set(nvcc ${HONE_NVCC})
    endif()
    set(cuda_why "no nvcc is found")
    if(nvcc)
        get_filename_component(cuda_root ${nvcc} REALPATH)
        get_filename_component(cuda_root ${cuda_root} DIRECTORY)
        find_library(HONE_CUDART cudart_static HINTS ${cuda_root}/../lib64 ${cuda_root}/../targets/${CMAKE_SYSTEM_PROCESSOR}-linux/lib ${cuda_root}/../lib)
        list(GET HONE_CUDA_ARCHS -1 newest)
        set(rc 0)
        if(NOT HONE_CUDA_TRIED STREQUAL "${nvcc} ${newest}")
            set(trial ${CMAKE_BINARY_DIR}/cuda_trial)
            file(WRITE ${trial}.cu "__global__ void k(float *p) { *p = 1; }\n")
            execute_process(COMMAND ${nvcc} -std=c++17 -gencode arch=compute_${newest},code=sm_${newest} -c ${trial}.cu -o ${trial}.o RESULT_VARIABLE rc OUTPUT_VARIABLE said
                            ERROR_VARIABLE said)
            if(rc EQUAL 0)
                set(HONE_CUDA_TRIED "${nvcc} ${newest}" CACHE INTERNAL "has compiled a kernel for it")
            endif()
        endif()
        if(NOT rc EQUAL 0)
            set(cuda_why "${nvcc} cannot compile for capability ${newest} (it needs CUDA 13.0 or newer and g++): ${said}")
            set(nvcc OFF)
        elseif(NOT HONE_CUDART)
            set(cuda_why "${nvcc} is there, but libcudart_static.a is not")
            set(nvcc OFF)
        endif()
    endif()
    if(NOT nvcc AND HONE_CUDA STREQUAL "ON")
        message(FATAL_ERROR "HONE_CUDA is ON, but ${cuda_why}")
    endif()
endif()

if(nvcc)
    message(STATUS "cuda: ${nvcc}, for ${HONE_CUDA_ARCHS}")
    # As for C: warnings are errors and a product is fused with a sum only where the source says so. Spills and local memory are warnings of the assembler.
    set(cuda_flags -std=c++17 -O3 --fmad=false --threads 2 -D_GNU_SOURCE -Werror all-warnings
        -Xptxas -v,-warn-spills,-warn-lmem-usage,--warning-as-error
        -Xcompiler -O2,-g,-Wall,-Wextra,-Werror,-ffp-contract=off,-fvisibility=hidden,-fno-exceptions,-fno-rtti,-fno-threadsafe-statics)
    foreach(arch IN LISTS HONE_CUDA_ARCHS)
        list(APPEND cuda_flags -gencode arch=compute_${arch},code=sm_${arch})
    endforeach()
    list(APPEND cuda_flags -gencode arch=compute_${newest},code=compute_${newest})
    set(cuda_objects)
    foreach(source IN LISTS cuda_sources)
        get_filename_component(name ${source} NAME)
        set(object ${CMAKE_BINARY_DIR}/cuda/${name}.o)
        set(verified) # else every source would be compiled anew with each change of one
        if(name STREQUAL "cuda.cu")
            set(verified ${cuda_generated}/tensor/cuda/verified.h)
        endif()
        add_custom_command(OUTPUT ${object}
            COMMAND ${CMAKE_COMMAND} -E make_directory ${CMAKE_BINARY_DIR}/cuda
            COMMAND ${CMAKE_SOURCE_DIR}/tools/cuda_ledger.sh compile ${CMAKE_BINARY_DIR}/cuda/${name}.log ${nvcc} ${cuda_flags} -I${CMAKE_SOURCE_DIR}/src -I${cuda_generated} -MD -MF ${object}.d -c ${source} -o ${object}
            DEPENDS ${source} ${verified} DEPFILE ${object}.d COMMENT "nvcc ${name}" VERBATIM)
        list(APPEND cuda_objects ${object})
    endforeach()
    set_source_files_properties(${cuda_objects} PROPERTIES EXTERNAL_OBJECT ON GENERATED ON)
    add_library(hone_cuda STATIC ${cuda_objects} ${cuda_dir}/nvml.c)
    set_target_properties(hone_cuda PROPERTIES LINKER_LANGUAGE C)
    target_link_libraries(hone_cuda PUBLIC hone_tensor ${HONE_CUDART} Threads::Threads ${CMAKE_DL_LIBS} rt)
else()
    if(cuda_why)
        message(STATUS "cuda: not built, ${cuda_why}")
    endif()
    add_library(hone_cuda STATIC ${cuda_dir}/none.c ${cuda_dir}/nvml.c)
    target_link_libraries(hone_cuda PUBLIC hone_tensor)
endif()
target_link_libraries(hone_tensor PUBLIC hone_cuda)
