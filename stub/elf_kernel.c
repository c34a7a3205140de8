/* Puts ELF headers in front of the kernel's image. */
#include "elf_kernel.h"

#include <assert.h>
#include <elf.h>
#include <stddef.h>
#include <string.h>

/* In front of the image: where it goes, and the note that names the PVH entry. */
struct elf_start {
	Elf64_Ehdr	header;
	Elf64_Phdr	load;
	Elf64_Phdr	notes;
	Elf64_Nhdr	note;
	char		note_name[4];
	uint64_t	note_entry;
};

#define NOTE_XEN_PHYS32_ENTRY	18
#define IMAGE_OFFSET		4096

static_assert(sizeof(struct elf_start) <= IMAGE_OFFSET, "elf_start");

static struct elf_start describe(const struct format_kernel *kernel)
{
	return (struct elf_start){
		.header = {
			.e_ident = { ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64, ELFDATA2LSB,
				     EV_CURRENT },
			.e_type = ET_EXEC,
			.e_machine = EM_X86_64,
			.e_version = EV_CURRENT,
			.e_entry = kernel->entry,
			.e_phoff = offsetof(struct elf_start, load),
			.e_ehsize = sizeof(Elf64_Ehdr),
			.e_phentsize = sizeof(Elf64_Phdr),
			.e_phnum = 2,
		},
		.load = {
			.p_type = PT_LOAD,
			.p_flags = PF_R | PF_W | PF_X,
			.p_offset = IMAGE_OFFSET,
			.p_vaddr = kernel->load_address,
			.p_paddr = kernel->load_address,
			.p_filesz = kernel->image_size,
			.p_memsz = kernel->memory_size,
			.p_align = IMAGE_OFFSET,
		},
		.notes = {
			.p_type = PT_NOTE,
			.p_offset = offsetof(struct elf_start, note),
			.p_filesz = sizeof(struct elf_start) - offsetof(struct elf_start, note),
			.p_align = sizeof(uint32_t),
		},
		.note = {
			.n_namesz = sizeof("Xen"),
			.n_descsz = sizeof(uint64_t),
			.n_type = NOTE_XEN_PHYS32_ENTRY,
		},
		.note_name = "Xen",
		.note_entry = kernel->entry,
	};
}

uint64_t elf_kernel_size(const struct kernel *kernel)
{
	return IMAGE_OFFSET + kernel->header.image_size;
}

int elf_kernel_write(const struct kernel *kernel, uint8_t *file, unsigned threads)
{
	struct elf_start start = describe(&kernel->header);

	memcpy(file, &start, sizeof(start));
	return kernel_inflate(kernel, file + IMAGE_OFFSET, threads);
}
