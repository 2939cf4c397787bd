/* context.c: leaving one stack for another.
 *
 * On x86-64 and aarch64 a switch pushes the registers a called function must preserve, stores the stack
 * pointer, loads the other one and pops: some ten instructions, no system call (ucontext makes two per
 * switch, for the signal mask). Elsewhere, or with TIMS_FIBER_UCONTEXT, ucontext does it. The floating point
 * control words are not switched: nothing in the stack changes them. Both sanitizers are told of each switch,
 * or they would take the new stack for memory gone mad. */
#include <stdlib.h>

#include "loop/loop_internal.h"

#if TIMS_ASAN
#include <sanitizer/common_interface_defs.h>
#endif
#if TIMS_TSAN
#include <sanitizer/tsan_interface.h>
#endif

#if !defined(TIMS_FIBER_UCONTEXT) && !defined(__x86_64__) && !defined(__aarch64__)
#define TIMS_FIBER_UCONTEXT 1
#endif

#if defined(TIMS_FIBER_UCONTEXT)

#include <ucontext.h>

static void enter_ucontext(unsigned entry_high, unsigned entry_low, unsigned argument_high,
                           unsigned argument_low)
{
    uintptr_t entry = (uintptr_t)(((uint64_t)entry_high << 32) | entry_low);
    uintptr_t argument = (uintptr_t)(((uint64_t)argument_high << 32) | argument_low);
    ((void (*)(void *))entry)((void *)argument);
    abort();
}

static ucontext_t *get_ucontext(loop__context *context)
{
    if (context->stack_pointer == NULL)
        context->stack_pointer = calloc(1, sizeof(ucontext_t));
    TIMS_ASSERT(context->stack_pointer != NULL);
    return context->stack_pointer;
}

static void make_machine_context(loop__context *context, void (*entry)(void *), void *argument)
{
    ucontext_t *machine = get_ucontext(context);
    uint64_t entry_bits = (uint64_t)(uintptr_t)entry;
    uint64_t argument_bits = (uint64_t)(uintptr_t)argument;
    TIMS_ASSERT(getcontext(machine) == 0);
    machine->uc_stack.ss_sp = context->stack_bottom;
    machine->uc_stack.ss_size = context->stack_bytes;
    machine->uc_link = NULL;
    makecontext(machine, (void (*)(void))enter_ucontext, 4, (unsigned)(entry_bits >> 32),
                (unsigned)entry_bits, (unsigned)(argument_bits >> 32), (unsigned)argument_bits);
}

static void switch_machine_context(loop__context *from, loop__context *to)
{
    (void)swapcontext(get_ucontext(from), to->stack_pointer);
}

void loop__context_free(loop__context *context)
{
    free(context->stack_pointer);
    context->stack_pointer = NULL;
}

#else

void loop__switch_stack(void **ret_stack_pointer, void *stack_pointer);
void loop__first_entry(void);

#if defined(__x86_64__)

/* The last step is a jump, not a return: the processor would predict the return wrongly, every time. endbr64
 * and notrack: for processors that check where indirect jumps land (shadow stacks are not supported). The
 * return address of the first entry is marked as unknown, so that debuggers end a backtrace there. */
__asm__(".text\n"
        ".globl loop__switch_stack\n"
        ".hidden loop__switch_stack\n"
        ".type loop__switch_stack, @function\n"
        ".p2align 4\n"
        "loop__switch_stack:\n"
        ".cfi_startproc\n"
        "    endbr64\n"
        "    pushq %rbp\n"
        "    pushq %rbx\n"
        "    pushq %r12\n"
        "    pushq %r13\n"
        "    pushq %r14\n"
        "    pushq %r15\n"
        "    movq %rsp, (%rdi)\n"
        "    movq %rsi, %rsp\n"
        "    popq %r15\n"
        "    popq %r14\n"
        "    popq %r13\n"
        "    popq %r12\n"
        "    popq %rbx\n"
        "    popq %rbp\n"
        "    popq %rcx\n"
        "    notrack jmp *%rcx\n"
        ".cfi_endproc\n"
        ".size loop__switch_stack, .-loop__switch_stack\n"
        ".globl loop__first_entry\n"
        ".hidden loop__first_entry\n"
        ".type loop__first_entry, @function\n"
        ".p2align 4\n"
        "loop__first_entry:\n"
        ".cfi_startproc\n"
        ".cfi_undefined rip\n"
        "    endbr64\n"
        "    movq %r12, %rdi\n"
        "    call *%r13\n"
        "    ud2\n"
        ".cfi_endproc\n"
        ".size loop__first_entry, .-loop__first_entry\n");

static void make_machine_context(loop__context *context, void (*entry)(void *), void *argument)
{
    uintptr_t top = ((uintptr_t)context->stack_bottom + context->stack_bytes) & ~(uintptr_t)15;
    void **stack = (void **)top;
    *--stack = NULL; /* keeps the stack aligned at the call */
    *--stack = NULL; /* a return address nobody uses */
    *--stack = (void *)loop__first_entry;
    *--stack = NULL;          /* rbp: the end of the frame chain */
    *--stack = NULL;          /* rbx */
    *--stack = argument;      /* r12 */
    *--stack = (void *)entry; /* r13 */
    *--stack = NULL;          /* r14 */
    *--stack = NULL;          /* r15 */
    context->stack_pointer = (void *)stack;
}

#else /* aarch64 */

__asm__(".text\n"
        ".globl loop__switch_stack\n"
        ".hidden loop__switch_stack\n"
        ".type loop__switch_stack, %function\n"
        ".p2align 4\n"
        "loop__switch_stack:\n"
        ".cfi_startproc\n"
        "    hint #34\n" /* bti c */
        "    sub sp, sp, #160\n"
        "    stp x19, x20, [sp, #0]\n"
        "    stp x21, x22, [sp, #16]\n"
        "    stp x23, x24, [sp, #32]\n"
        "    stp x25, x26, [sp, #48]\n"
        "    stp x27, x28, [sp, #64]\n"
        "    stp x29, x30, [sp, #80]\n"
        "    stp d8, d9, [sp, #96]\n"
        "    stp d10, d11, [sp, #112]\n"
        "    stp d12, d13, [sp, #128]\n"
        "    stp d14, d15, [sp, #144]\n"
        "    mov x9, sp\n"
        "    str x9, [x0]\n"
        "    mov sp, x1\n"
        "    ldp x19, x20, [sp, #0]\n"
        "    ldp x21, x22, [sp, #16]\n"
        "    ldp x23, x24, [sp, #32]\n"
        "    ldp x25, x26, [sp, #48]\n"
        "    ldp x27, x28, [sp, #64]\n"
        "    ldp x29, x30, [sp, #80]\n"
        "    ldp d8, d9, [sp, #96]\n"
        "    ldp d10, d11, [sp, #112]\n"
        "    ldp d12, d13, [sp, #128]\n"
        "    ldp d14, d15, [sp, #144]\n"
        "    add sp, sp, #160\n"
        "    ret\n"
        ".cfi_endproc\n"
        ".size loop__switch_stack, .-loop__switch_stack\n"
        ".globl loop__first_entry\n"
        ".hidden loop__first_entry\n"
        ".type loop__first_entry, %function\n"
        ".p2align 4\n"
        "loop__first_entry:\n"
        ".cfi_startproc\n"
        ".cfi_undefined x30\n"
        "    mov x0, x19\n"
        "    blr x20\n"
        "    brk #1\n"
        ".cfi_endproc\n"
        ".size loop__first_entry, .-loop__first_entry\n");

static void make_machine_context(loop__context *context, void (*entry)(void *), void *argument)
{
    uintptr_t top = ((uintptr_t)context->stack_bottom + context->stack_bytes) & ~(uintptr_t)15;
    void **stack = (void **)(top - 160);
    for (size_t i = 0; i < 20; i++)
        stack[i] = NULL;
    stack[0] = argument;                   /* x19 */
    stack[1] = (void *)entry;              /* x20 */
    stack[11] = (void *)loop__first_entry; /* x30 */
    context->stack_pointer = (void *)stack;
}

#endif

static void switch_machine_context(loop__context *from, loop__context *to)
{
    loop__switch_stack(&from->stack_pointer, to->stack_pointer);
}

void loop__context_free(loop__context *context)
{
    context->stack_pointer = NULL;
}

#endif

void loop__context_make(loop__context *context, void (*entry)(void *), void *argument)
{
    context->fake_stack = NULL;
#if TIMS_TSAN
    context->tsan_fiber = __tsan_create_fiber(0);
#endif
    make_machine_context(context, entry, argument);
}

void loop__context_switch(loop__context *from, loop__context *to, bool last)
{
    (void)last;
#if TIMS_ASAN
    __sanitizer_start_switch_fiber(last ? NULL : &from->fake_stack, to->stack_bottom, to->stack_bytes);
#endif
#if TIMS_TSAN
    if (from->tsan_fiber == NULL)
        from->tsan_fiber = __tsan_get_current_fiber();
    __tsan_switch_to_fiber(to->tsan_fiber, 0);
#endif
    switch_machine_context(from, to);
#if TIMS_ASAN
    __sanitizer_finish_switch_fiber(from->fake_stack, NULL, NULL);
#endif
}

void loop__context_entered(loop__context *context, loop__context *from)
{
    (void)context;
    (void)from;
#if TIMS_ASAN
    const void *bottom = NULL;
    size_t bytes = 0;
    __sanitizer_finish_switch_fiber(NULL, &bottom, &bytes);
    from->stack_bottom = (void *)(uintptr_t)bottom;
    from->stack_bytes = bytes;
#endif
}
