# isa.cmake - compile flags of the cpu kernels. Each kern_*.c holds the same sources at another vector width; only these files may use
# instructions that the oldest supported machine lacks, and they are entered only after a look at the processor.
set(cpu_dir ${CMAKE_SOURCE_DIR}/src/tensor/cpu)
set(cpu_opt -O3)
if(HONE_ASAN)
    # Addresses are checked in the kernels as well; the checks for undefined behaviour would multiply the unrolled loops into minutes of compiling.
    set(cpu_opt -O1 -fno-sanitize=undefined -fno-var-tracking)
elseif(HONE_FUZZ) # by clang; no fuzz target computes
    set(cpu_opt -O1 -fno-sanitize=undefined)
elseif(HONE_TSAN)
    set(cpu_opt -O1 -fno-var-tracking)
endif()
set_source_files_properties(${cpu_dir}/kern_base.c PROPERTIES COMPILE_OPTIONS "${cpu_opt}")
if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64")
    set_source_files_properties(${cpu_dir}/kern_avx2.c PROPERTIES COMPILE_OPTIONS "${cpu_opt};-mavx2;-mfma;-mf16c")
    set_source_files_properties(${cpu_dir}/kern_avx512.c PROPERTIES COMPILE_OPTIONS
        "${cpu_opt};-mavx512f;-mavx512dq;-mavx512bw;-mavx512vl;-mavx2;-mfma;-mf16c;-mprefer-vector-width=512")
    set_source_files_properties(${cpu_dir}/kern_avx512vnni.c PROPERTIES COMPILE_OPTIONS
        "${cpu_opt};-mavx512f;-mavx512dq;-mavx512bw;-mavx512vl;-mavx512vnni;-mavx2;-mfma;-mf16c;-mprefer-vector-width=512")
    # Of these the tests compile kern_amxbf16.c once more, with the tile instructions emulated.
    set(cpu_bf16 ${cpu_opt} -mavx512f -mavx512dq -mavx512bw -mavx512vl -mavx512bf16 -mavx2 -mfma -mf16c -mprefer-vector-width=512)
    set_source_files_properties(${cpu_dir}/kern_avx512bf16.c PROPERTIES COMPILE_OPTIONS "${cpu_bf16}")
    set_source_files_properties(${cpu_dir}/kern_amxbf16.c PROPERTIES COMPILE_OPTIONS "${cpu_bf16};-mamx-tile;-mamx-bf16")
endif()
