/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The x87 and SSE registers, all at once, in 512 bytes at an address of a multiple of 16.
 * Source: Intel SDM volume 1, 10.5.1 FXSAVE Area.
 */
#ifndef VECTORS_H
#define VECTORS_H

#define VECTOR_BYTES 512
#define CONTROL_WORD 0
#define TAG_WORD 4
#define MXCSR 24
#define X87_REGISTERS 32
#define X87_BYTES 10 /* of 16, the rest is reserved */
#define XMM_REGISTERS 160

#ifdef __x86_64__
#define VECTOR_END 416
#define FXSAVE "fxsave64 %0"
#define FXRSTOR "fxrstor64 %0"
#else
#define VECTOR_END 288
#define FXSAVE "fxsave %0"
#define FXRSTOR "fxrstor %0"
#endif

#endif
